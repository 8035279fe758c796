"""What is said through the control socket: requests read, answers written. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from scaler.hiding import hidden

Code: TypeAlias = Literal[
    "malformed",
    "unknown-command",
    "unknown-option",
    "not-found",
    "ambiguous",
    "refused",
    "busy",
    "settings",
    "unavailable",
    "stopping",
    "internal",
]

LINE = 64 << 10  # bytes of one request at most
_SHOWN = 60  # characters of what was found that are told
_WORDS = 256  # characters of a name at most
_NAMES = 1000  # names in a list at most


class Trouble(Exception):
    """A request that is answered by an error.

    Attributes:
        code: A word for programs.
        text: What was found and what was wanted, for people.
        fix: How to mend it; may be empty.
        problems: Each thing that is wrong, where there are several.
    """

    def __init__(self, code: Code, text: str, fix: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fix = fix
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Request:
    """One request whose options are of the right kinds.

    Attributes:
        options: What was given besides the command; what was left out has its default.
    """

    command: str
    options: Mapping[str, Any]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _WORDS:
        raise ValueError(f"a text of 1 to {_WORDS} characters")
    return value


def _subject(value: Any) -> str:
    """A name, or a runner's id as a number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63:
        return str(value)
    return _name(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _NAMES:
        raise ValueError(f"a list of 1 to {_NAMES} names")
    return tuple(dict.fromkeys(_name(each) for each in value))


@dataclass(frozen=True)
class _Option:
    read: Callable[[Any], Any]
    default: Any = None
    needed: bool = False


_PROFILES = {"profiles": _Option(_names), "all": _Option(_flag, default=False)}
_HOST = _Option(_name, needed=True)
_RUNNER = _Option(_subject, needed=True)
_NOT = _Option(_flag, default=False)

#: Every command, with its options.
COMMANDS: Mapping[str, Mapping[str, _Option]] = {
    "status": {"watch": _NOT},
    "why": {"about": _Option(_subject)},
    "pause": _PROFILES,
    "resume": _PROFILES,
    "drain": {"host": _HOST, "now": _NOT},
    "undrain": {"host": _HOST},
    "reload": {},
    "release": {"runner": _RUNNER},
    "destroy": {"runner": _RUNNER, "busy": _NOT},
}
_ALWAYS = ("command", "version")  # `version`: of who asks, told where the two do not understand


def parse(line: bytes, version: str) -> Request:
    """Read a request.

    Args:
        line: One line, with or without its end.
        version: This scaler's own.

    Raises:
        Trouble: It is none.
    """
    found = _object(line)
    command = found.get("command")
    if not isinstance(command, str):
        raise Trouble("malformed", 'found no "command", wanted {"command": "status"} or another')
    asks = found.get("version", "")
    if not isinstance(asks, str):
        raise Trouble("malformed", f"version: found {_shown(asks)}, wanted a text")
    wanted = COMMANDS.get(command)
    if wanted is None:
        raise Trouble(
            "unknown-command",
            f"found the command {_shown(command)}, wanted one of {', '.join(COMMANDS)}"
            + _versions(asks, version),
        )
    options = {name: option.default for name, option in wanted.items()}
    for name, value in found.items():
        if name in _ALWAYS:
            continue
        if name not in wanted:
            known = ", ".join(wanted) or "none"
            raise Trouble(
                "unknown-option",
                f"{command} has no option {_shown(name)}, wanted {known}"
                + _versions(asks, version),
            )
        try:
            options[name] = wanted[name].read(value)
        except ValueError as error:
            text = f"{command}, {name}: found {_shown(value)}, wanted {error}"
            raise Trouble("malformed", text) from None
    for name, option in wanted.items():
        if option.needed and options[name] is None:
            raise Trouble("malformed", f"{command}: found no {_shown(name)}, and it needs one")
    if "all" in options and (options["profiles"] is None) != options["all"]:
        text = f'{command}: wanted either "profiles" or "all": true, and not both'
        raise Trouble("malformed", text)
    return Request(command, options)


def answer(result: Mapping[str, Any], version: str, hide: Callable[[str], str] = str) -> bytes:
    """The line that says that it was done.

    Args:
        result: Plain data.
        version: This scaler's own.
        hide: Takes secrets out of a text.
    """
    return _line({"ok": True, "version": version, "result": result}, hide)


def refusal(trouble: Trouble, version: str, hide: Callable[[str], str] = str) -> bytes:
    """The line that says that it was not."""
    error: dict[str, Any] = {"code": trouble.code, "text": trouble.text, "fix": trouble.fix}
    if trouble.problems:
        error["problems"] = list(trouble.problems)
    return _line({"ok": False, "version": version, "error": error}, hide)


def _line(value: Mapping[str, Any], hide: Callable[[str], str]) -> bytes:
    # (in ASCII: what a text holds can start no line, and send no terminal a command)
    text = json.dumps(value, allow_nan=False)
    if hide(text) != text:
        text = json.dumps(hidden(value, hide), allow_nan=False)
    return text.encode("ascii") + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line."""
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise Trouble("malformed", f"the request is not UTF-8: {error.reason}") from None
    except RecursionError:
        raise Trouble("malformed", "the request is nested too deeply") from None
    except ValueError as error:
        raise Trouble("malformed", f"the request is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Trouble("malformed", f"found {_shown(found)}, wanted a JSON object in one line")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _versions(asks: str, version: str) -> str:
    """What may be behind it: the program that asks is of another version than the one that runs."""
    if not asks or asks == version:
        return ""
    return f" (the running scaler is {version}, this command {asks[:_SHOWN]}: restart it)"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "something nested too deeply"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
