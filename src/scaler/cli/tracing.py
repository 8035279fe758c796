"""`--trace-hooks`: every call of a hook as one line of the log."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from scaler.log import printable
from scaler.records import (
    Job,
    Machine,
    Message,
    Profile,
    Registration,
    Reservation,
    Runner,
    SelectionRequest,
    View,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from scaler.dispatch.tracing import HookCall

log = logging.getLogger("scaler.trace")

_LONGEST = 300  # characters of a line
_LONGEST_ARGUMENTS = 120
_ITEMS = 3  # of a list
_FURNITURE = ("task_status",)  # arguments that say nothing

#: What stands for a record.
_NAMES: dict[type, Callable[..., object]] = {
    Job: lambda job: job.id,
    Machine: lambda machine: machine.id,
    Message: lambda message: message.id,
    Profile: lambda profile: profile.name,
    Registration: lambda registration: registration.name,
    Reservation: lambda reservation: reservation.unique_id,
    Runner: lambda runner: runner.name,
    SelectionRequest: lambda request: request.unique_id,
    View: lambda view: f"version {view.version}",
}


def argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--trace-hooks",
        action="store_true",
        help="log every call of a hook: plugin, arguments, answer and time",
    )


def tracer(args: argparse.Namespace) -> Callable[[HookCall], None] | None:
    """What follows calls, where it is wanted; it is heard whatever the settings' `log` is."""
    if not args.trace_hooks:
        return None
    log.setLevel(logging.INFO)
    return trace


def trace(call: HookCall) -> None:
    """Log one call."""
    fault = call.outcome == "failed" and call.text != "was cancelled"
    log.log(logging.ERROR if fault else logging.INFO, "%s", line(call))


def line(call: HookCall) -> str:
    """A call in at most 300 characters, the time at the end."""
    given = (
        f"{name}={_brief(value)}"
        for name, value in call.arguments.items()
        if name not in _FURNITURE
    )
    start = f"{call.plugin}.{call.hook}({_cut(', '.join(given), _LONGEST_ARGUMENTS)})"
    match call.outcome:
        case "answered":
            text = f" → {_answer(call)}"
        case "said":
            text = f" said {call.text}"
        case _:
            text = f" failed: {call.text}"
    end = f" {_time(call.seconds)}"
    return _cut(printable(start + text), _LONGEST - len(end)) + end


def _answer(call: HookCall) -> str:
    answer = call.answer
    if answer is None:
        return call.text or "None"
    if isinstance(answer, list | tuple):
        shown = [_told(each) for each in answer[:_ITEMS]]
        if "" not in shown:
            more = [f"… {len(answer)} in all"] if len(answer) > _ITEMS else []
            return f"[{', '.join([*shown, *more])}]"
    return _told(answer) or call.text


def _told(record: object) -> str:
    """A record of ours with what differs from its defaults; empty where it is none of ours."""
    kind = type(record)
    if not (dataclasses.is_dataclass(kind) and kind.__module__.startswith("scaler.records")):
        return ""
    try:
        given = {field.name: getattr(record, field.name) for field in dataclasses.fields(kind)}
        usual = {field.name: field.default for field in dataclasses.fields(kind)}
        told = (f"{key}={each!r}" for key, each in given.items() if _unusual(each, usual[key]))
        return f"{kind.__name__}({', '.join(told)})"
    except Exception:  # something of a plugin's in a field
        return ""


def _unusual(value: object, default: object) -> bool:
    if default is dataclasses.MISSING:
        return value is not None and value not in ("", (), {})
    return bool(value != default)


def _brief(value: object) -> str:
    """An argument in a few characters."""
    if isinstance(value, list | tuple):
        shown = [_brief(each) for each in value[:_ITEMS]]
        more = [f"… {len(value)} in all"] if len(value) > _ITEMS else []
        return f"[{', '.join([*shown, *more])}]"
    name = _NAMES.get(type(value))
    try:
        return _cut(str(name(value)) if name else repr(value), _LONGEST_ARGUMENTS)
    except Exception:
        return type(value).__name__


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
