"""Logging: text for people on a terminal, one JSON object a line for everything else.

A record may carry `plugin`, `profile`, `runner` and `job` (`extra=`, or `plugin_log`). Nothing that
a record says can start a line of its own or send a terminal a command, and no known secret shows.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import urllib.parse
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from scaler.about import ABOUT, GIVEN, without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping

    from scaler.units import Secret

ROOT = "scaler"
_FACTS = ("plugin", "profile", "runner", "job")
_SHORTEST_HIDDEN = 6  # hiding "a" would hide everything
_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
# C0 but not tab, DEL, C1, line and paragraph separators, what turns text round, lone surrogates
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def setup(level: str, *, stream: TextIO | None = None, hide: Iterable[Secret] = ()) -> None:
    """Log to a stream (the standard error where left out), and to it alone.

    Args:
        level: The least important level of scaler's and its plugins' own; libraries speak from
            `warning` on, or at that level if it is higher.
        hide: Secrets whose text is shown as `***` should it ever reach a record.
    """
    stream = sys.stderr if stream is None else stream
    hidden = hider(hide)
    handler = _Handler(stream, hidden)
    if stream.isatty():
        handler.setFormatter(TextFormatter(hidden, colour=colourful(stream)))
    else:
        handler.setFormatter(JsonFormatter(hidden))
    root = logging.getLogger()
    for old in _handlers():
        root.removeHandler(old)
    root.addHandler(handler)
    _set_levels(level)


def renew(level: str) -> None:
    """Go on at another level, where `setup` was called in this process."""
    if _handlers():
        _set_levels(level)


def hider_in_use(secrets: Iterable[Secret]) -> Hider:
    """What hides secrets in the log, taught these, too: what it learns later counts there.

    Where `setup` was not called in this process, one that stands by itself.
    """
    handlers = _handlers()
    hidden = handlers[0].hidden if handlers else Hider()
    hidden.add(secrets)
    return hidden


def _handlers() -> list[_Handler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, _Handler)]


def _set_levels(level: str) -> None:
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(wanted, logging.WARNING))
    logging.getLogger(ROOT).setLevel(wanted)


@contextmanager
def gathered(soon: Callable[[Callable[[], object]], object]) -> Iterator[None]:
    """Write the lines of one moment in one go, from `warning` on at once.

    In a burst of jobs there are thousands of lines, and each write costs more than its line. What
    is gathered while the loop hangs is written with the next warning, or when it goes on.

    Args:
        soon: Calls a function a moment later, from any thread; the loop's own.
    """
    handlers = _handlers()
    try:
        for handler in handlers:
            handler.soon = soon
        yield
    finally:
        for handler in handlers:
            handler.soon = None
            handler.write_gathered()


def colourful(stream: TextIO) -> bool:
    """Whether colours are welcome there (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def plugin_log(plugin: str) -> logging.LoggerAdapter[logging.Logger]:
    """A plugin's own logger: every record carries the plugin's name."""
    return _Adapter(logging.getLogger(f"{ROOT}.plugins.{plugin}"), {"plugin": plugin})


def printable(text: str) -> str:
    """Write control characters (also newlines) out as escapes."""
    return _UNSAFE.sub(lambda match: repr(match[0])[1:-1], text)


class TextFormatter(logging.Formatter):
    """`12:00:00 info    plugin: text  profile=linux runner=7`, for people."""

    def __init__(self, hidden: Callable[[str], str], *, colour: bool) -> None:
        super().__init__()
        self._hidden = hidden
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One line, and below it the traceback where there is one."""
        level = _LEVELS.get(record.levelno, record.levelname.lower())
        facts = _facts(record)
        who = facts.pop("plugin", None) or record.name.removeprefix(f"{ROOT}.")
        text = printable(self._hidden(record.getMessage()))
        tail = "".join(f"  {name}={printable(self._hidden(str(v)))}" for name, v in facts.items())
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        shown = f"{level:<7}"
        if self._colour:
            clock, tail = _paint(clock, "2"), _paint(tail, "2") if tail else ""
            shown = _paint(shown, _COLOURS.get(level, ""))
        line = f"{clock} {shown} {printable(str(who))}: {text}{tail}"
        below = self._hidden(_traceback(self, record)).splitlines()
        return "\n".join([line, *(f"    | {printable(each)}" for each in below)])


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII."""

    def __init__(self, hidden: Callable[[str], str]) -> None:
        super().__init__()
        self._hidden = hidden
        self._second = (-1.0, "")  # the last one, as text

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        whole, part = divmod(record.created, 1)
        if whole != self._second[0]:
            self._second = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        moment = self._second[1]
        facts: dict[str, Any] = {
            "time": f"{moment}.{int(part * 1000):03d}Z",
            "level": _LEVELS.get(record.levelno, record.levelname.lower()),
            "logger": record.name,
            "message": self._hidden(record.getMessage()),
        }
        for name, value in _facts(record).items():
            facts[name] = value if isinstance(value, int) else self._hidden(str(value))
        if trace := _traceback(self, record):
            facts["traceback"] = self._hidden(trace)
        return json.dumps(facts)


class _Adapter(logging.LoggerAdapter[logging.Logger]):
    """Adds to a record's own facts; the standard one replaces them before Python 3.13."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), **(self.extra or {})}}


class _Handler(logging.StreamHandler[TextIO]):
    """Never raises into who logs, and never prints a record that it could not write.

    Attributes:
        hidden: What hides secrets in it.
        soon: Where given, calls a function a moment later: lines that are not urgent are written
            then, all in one.
    """

    def __init__(self, stream: TextIO, hidden: Hider) -> None:
        super().__init__(stream)
        self.hidden = hidden
        self.soon: Callable[[Callable[[], object]], object] | None = None
        self._lines: list[tuple[logging.LogRecord, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if self.soon is None or record.levelno >= logging.WARNING:
            self.write_gathered()
            super().emit(record)
            return
        try:
            self._lines.append((record, self.format(record) + self.terminator))
        except Exception:
            self.handleError(record)
            return
        if len(self._lines) == 1:
            try:
                self.soon(self.write_gathered)
            except RuntimeError:  # the loop has ended
                self.write_gathered()

    def write_gathered(self) -> None:
        """Write what was gathered."""
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            if not lines:
                return
            try:
                self.stream.write("".join(line for _, line in lines))
                self.flush()
            except OSError:
                return  # nobody reads any more
            except Exception:  # one of them cannot be written: each for itself
                for record, line in lines:
                    try:
                        self.stream.write(line)
                        self.flush()
                    except Exception:
                        self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        kind, error, _ = sys.exc_info()
        if isinstance(error, OSError) or kind is None:
            return  # nobody reads any more
        note = logging.LogRecord(
            record.name, logging.ERROR, record.pathname, record.lineno,
            "a record of %s:%d could not be written: %s",
            (record.pathname, record.lineno, kind.__name__), None,
        )  # fmt: skip
        try:
            self.stream.write(self.format(note) + self.terminator)
        except Exception:
            return


class Hider:
    """Puts `***` in place of secrets, also where they were quoted on the way.

    Those that the work in hand was given (`scaler.about`) are hidden, too.
    What was a secret once stays one: somebody may still speak of it.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._texts: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        text = text if self._pattern is None else self._pattern.sub("***", text)
        return without(text, GIVEN.get())

    def add(self, secrets: Iterable[Secret]) -> None:
        """Hide these, too, from now on."""
        texts = [secret.reveal() for secret in secrets]
        texts += [line for text in texts for line in text.splitlines()]  # tracebacks indent each
        texts = [text for text in texts if len(text) >= _SHORTEST_HIDDEN]
        texts += [quote(text) for text in texts for quote in (_as_python, _as_json, _as_address)]
        if not self._texts.issuperset(texts):
            self._texts.update(texts)
            longest_first = sorted(self._texts, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))


def hider(secrets: Iterable[Secret]) -> Hider:
    """What puts `***` in place of these secrets, also where they were quoted on the way."""
    return Hider(secrets)


def _as_python(text: str) -> str:
    return repr(text)[1:-1]


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _as_address(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    # (the core says itself of what it speaks, also while a plugin waits for it)
    about = {} if _is_core(record.name) else ABOUT.get()
    found = {name: getattr(record, name, None) or about.get(name) for name in _FACTS}
    return {name: value for name, value in found.items() if value not in (None, "")}


def _is_core(logger: str) -> bool:
    return f"{logger}.".startswith(f"{ROOT}.") and not logger.startswith(f"{ROOT}.plugins.")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
