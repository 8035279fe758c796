"""What is logged can be read by people and programs, and cannot play tricks on either."""

from __future__ import annotations

import io
import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from scaler import Secret, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("scaler")
    before = (list(root.handlers), root.level, own.level)
    yield
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)


@pytest.fixture
def core() -> logging.Logger:
    return logging.getLogger("scaler.engine")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_json_object(core: logging.Logger) -> None:
    stream = io.StringIO()
    log.setup("info", stream=stream)
    core.info("made %d", 3, extra={"profile": "linux", "runner": 7, "job": "j1", "plugin": "box"})
    [line] = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "scaler.engine",
        "message": "made 3",
        "profile": "linux",
        "runner": 7,
        "job": "j1",
        "plugin": "box",
    }


def test_levels_are_scalers_own_and_libraries_only_warn(core: logging.Logger) -> None:
    stream = io.StringIO()
    log.setup("debug", stream=stream)
    core.debug("a")
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("b")
    log.setup("error", stream=stream)
    core.warning("no")
    core.error("c")
    assert [line["message"] for line in lines(stream)] == ["a", "b", "c"]


def test_a_plugins_records_carry_its_name_beside_their_own_facts() -> None:
    stream = io.StringIO()
    log.setup("info", stream=stream)
    log.plugin_log("box").warning("hot", extra={"profile": "linux"})
    [line] = lines(stream)
    assert (line["plugin"], line["profile"], line["logger"]) == (
        "box",
        "linux",
        "scaler.plugins.box",
    )


def test_a_terminal_gets_aligned_text(
    core: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    log.setup("info", stream=stream)
    core.info("ready")
    log.plugin_log("box").warning("hot", extra={"profile": "linux", "runner": 7})
    texts = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert texts == [
        "info    engine: ready",
        "warning box: hot  profile=linux runner=7",
    ] or texts == [
        "info    engine: ready",
        "warning box: hot  profile=linux  runner=7",
    ]


def test_colour_is_only_for_terminals_that_want_it(
    core: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    log.setup("info", stream=stream)
    core.error("bad")
    assert "\x1b[31merror" in stream.getvalue()
    monkeypatch.setenv("TERM", "dumb")
    assert not log.colourful(stream)
    monkeypatch.setenv("TERM", "xterm")
    assert not log.colourful(io.StringIO())


NASTY = "one\ntwo\r\x1b[31mred\x9b31m\x00\u2028\u202e\x07"


def test_text_cannot_start_a_line_or_drive_a_terminal(
    core: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    log.setup("info", stream=stream)
    core.info("%s", NASTY, extra={"job": NASTY})
    try:
        raise ValueError(NASTY)
    except ValueError:
        core.exception("failed")
    first, second, *below = stream.getvalue().splitlines()
    assert "one\\ntwo\\r\\x1b[31mred\\x9b31m\\x00\\u2028\\u202e\\x07" in first
    assert second.endswith("engine: failed")
    assert all(line.startswith("    | ") for line in below)
    assert not set(NASTY) & set("\x1b\x9b\x00\u202e\x07") & set(stream.getvalue())


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_escaped_text_is_printable_whatever_it_was(text: str) -> None:
    safe = log.printable(text)
    assert len(safe.splitlines()) <= 1
    safe.encode()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Keep records from pytest, whose report of a test cannot hold lone surrogates under xdist."""
    root = logging.getLogger()
    others = [each for each in root.handlers if not isinstance(each, log._Handler)]
    for each in others:
        root.removeHandler(each)
    try:
        yield
    finally:
        for each in others:
            root.addHandler(each)


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_message_is_one_line_of_json_and_comes_back(text: str) -> None:
    stream = io.StringIO()
    log.setup("info", stream=stream)
    with unrecorded():
        logging.getLogger("scaler.x").info("%s", text)
    assert stream.getvalue().count("\n") == 1
    assert lines(stream)[0]["message"] == text


PEM = "-----BEGIN KEY-----\nabc'def\"ghi/+=\n-----END KEY-----"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "text"])
@pytest.mark.parametrize("text", ["t0ken/with+signs", PEM], ids=["token", "pem"])
def test_a_known_secret_never_shows(stream: io.StringIO, text: str, core: logging.Logger) -> None:
    secret = Secret(text)
    log.setup("info", stream=stream, hide=[secret, Secret("ab"), Secret("")])
    core.info("as itself %s, by mistake %s, quoted %r", secret, text, text)
    core.info("about", extra={"job": text})
    try:
        raise RuntimeError(f"with {text}") from ExceptionGroup("many", [ValueError(text)])
    except RuntimeError:
        core.exception("failed")
    shown = stream.getvalue()
    assert "***" in shown
    assert not any(piece in shown for piece in ("t0ken", "abc'def", "abc\\'def", "BEGIN KEY"))
    assert "about" in shown  # what is too short to be a secret hides nothing


def test_a_secret_in_an_address_is_hidden() -> None:
    hide = log.hider([Secret("a/b c+d")])
    assert hide("https://x/?t=a%2Fb%20c%2Bd") == "https://x/?t=***"
    assert log.hider([])("as it is") == "as it is"


def test_whoever_logs_is_not_hurt_by_the_stream(core: logging.Logger) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    log.setup("info", stream=Closed())
    core.info("nobody reads this")


def test_a_record_that_cannot_be_written_is_told_without_its_arguments(
    core: logging.Logger,
) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    log.setup("info", stream=stream)
    root.handlers[:] = root.handlers[-1:]  # pytest's own would raise
    core.info("%d runners", "hush")
    [line] = lines(stream)
    assert "could not be written: TypeError" in line["message"]
    assert "hush" not in line["message"]


def test_setting_up_again_replaces(core: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    log.setup("info", stream=first)
    log.setup("info", stream=second)
    core.info("x")
    assert (first.getvalue(), len(lines(second))) == ("", 1)


# --- lines of one moment


def test_lines_of_a_moment_are_written_in_one_go_and_warnings_at_once() -> None:
    class Counting(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    stream, later = Counting(), list["Callable[[], object]"]()
    log.setup("info", stream=stream)
    core = logging.getLogger("scaler")
    with log.gathered(later.append):
        for number in range(50):
            core.info("line %d", number)
        assert (stream.writes, len(later)) == (0, 1)
        later.pop()()
        assert stream.writes == 1
        core.info("line 50")
        core.warning("line 51")
        assert len(stream.getvalue().splitlines()) == 52
        core.info("line 52")
    core.info("line 53")
    written = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert written == [f"line {number}" for number in range(54)]


def test_when_the_loop_has_ended_lines_are_written_at_once() -> None:
    stream = io.StringIO()
    log.setup("info", stream=stream)

    def soon(_function: Callable[[], object]) -> None:
        raise trio.RunFinishedError

    with log.gathered(soon):
        logging.getLogger("scaler").info("last words")
        assert "last words" in stream.getvalue()


def test_lines_for_a_stream_that_nobody_reads_harm_nobody() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    log.setup("info", stream=Closed())
    with log.gathered(lambda _function: None):
        logging.getLogger("scaler").info("into nowhere")
