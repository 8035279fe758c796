"""Requests and answers, as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scaler.control.protocol import COMMANDS, LINE, Request, Trouble, answer, parse, refusal

NEEDS: dict[str, dict[str, Any]] = {
    "pause": {"profiles": ["linux"]},
    "resume": {"all": True},
    "drain": {"host": "vm1"},
    "undrain": {"host": "vm1"},
    "release": {"runner": "linux.7"},
    "destroy": {"runner": 7},
}
CODES = {"malformed", "unknown-command", "unknown-option"}
OPTIONS = st.sampled_from(["watch", "about", "profiles", "all", "host", "now", "runner", "x"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SIMPLE = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | FLOATS
VALUES = SIMPLE | st.lists(SIMPLE, max_size=4) | st.dictionaries(st.text(), SIMPLE, max_size=3)


def line(**request: Any) -> bytes:
    return json.dumps(request).encode() + b"\n"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_each_command_is_understood_with_what_it_needs(command: str) -> None:
    request = parse(line(command=command, **NEEDS.get(command, {})), "1")
    assert request.command == command
    assert set(request.options) == set(COMMANDS[command])


def test_what_is_left_out_has_a_default() -> None:
    assert parse(line(command="status"), "1").options == {"watch": False}
    assert parse(line(command="why"), "1").options == {"about": None}
    assert parse(line(command="drain", host="a"), "1").options == {"host": "a", "now": False}


def test_a_runner_is_named_by_number_or_text() -> None:
    assert parse(line(command="destroy", runner=7), "1").options["runner"] == "7"
    assert parse(line(command="release", runner="linux.7"), "1").options["runner"] == "linux.7"


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (b"", "malformed", "not JSON"),
        (b"\xff\xfe", "malformed", "not UTF-8"),
        (b"[" * LINE, "malformed", "nested too deeply"),
        (b'{"a":' * 10_000, "malformed", "nested too deeply"),
        (b"[]", "malformed", "wanted a JSON object"),
        (b"{}", "malformed", 'no "command"'),
        (b'{"command": 7}', "malformed", 'no "command"'),
        (b'{"command": NaN}', "malformed", "NaN is no JSON"),
        (b'{"command": ' + b"9" * 5000 + b"}", "malformed", "not JSON"),
        (line(command="status", version=3), "malformed", "version: found 3"),
        (line(command="halt"), "unknown-command", 'found the command "halt", wanted one of status'),
        (line(command="status", wide=True), "unknown-option", 'no option "wide", wanted watch'),
        (line(command="reload", x=1), "unknown-option", "wanted none"),
        (line(command="status", watch="yes"), "malformed", 'watch: found "yes", wanted true or'),
        (line(command="drain"), "malformed", 'found no "host"'),
        (line(command="drain", host=""), "malformed", "wanted a text of 1 to 256"),
        (line(command="drain", host="x" * 257), "malformed", "wanted a text of 1 to 256"),
        (line(command="destroy", runner=True), "malformed", "runner: found true"),
        (line(command="destroy", runner=0), "malformed", "runner: found 0"),
        (line(command="destroy", runner=2**63), "malformed", "runner: found 9223"),
        (line(command="pause"), "malformed", 'either "profiles" or "all"'),
        (line(command="pause", all=False), "malformed", 'either "profiles" or "all"'),
        (line(command="pause", profiles=["a"], all=True), "malformed", "and not both"),
        (line(command="pause", profiles=[]), "malformed", "a list of 1 to 1000 names"),
        (line(command="pause", profiles="linux"), "malformed", "a list of 1 to 1000 names"),
        (line(command="pause", profiles=[1]), "malformed", "a text of 1 to 256"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_understood_is_said(request_: bytes, code: str, said: str) -> None:
    with pytest.raises(Trouble) as error:
        parse(request_, "1")
    assert error.value.code == code
    assert said in error.value.text
    assert len(error.value.text) < 400


def test_another_version_of_the_command_is_named() -> None:
    with pytest.raises(Trouble) as error:
        parse(line(command="status", wide=True, version="0.8"), "0.7")
    assert error.value.text.endswith("(the running scaler is 0.7, this command 0.8: restart it)")
    with pytest.raises(Trouble) as error:
        parse(line(command="status", wide=True, version="0.7"), "0.7")
    assert "restart" not in error.value.text


def test_names_given_twice_count_once() -> None:
    request = parse(line(command="pause", profiles=["b", "a", "b"]), "1")
    assert request.options["profiles"] == ("b", "a")


def understood(data: bytes) -> Request | Trouble:
    try:
        return parse(data, "1")
    except Trouble as trouble:
        return trouble


@given(st.binary(max_size=200))
@example(b'{"command":"status"}')
def test_any_bytes_are_a_request_or_are_refused(data: bytes) -> None:
    found = understood(data)
    if isinstance(found, Trouble):
        assert found.code in CODES
        assert json.loads(refusal(found, "1"))["error"]["text"] == found.text
    else:
        assert found.command in COMMANDS


@given(st.sampled_from([*COMMANDS, "halt"]), st.dictionaries(OPTIONS, VALUES, max_size=3))
def test_any_options_are_understood_or_refused(command: str, options: dict[str, Any]) -> None:
    found = understood(line(command=command, **options))
    if isinstance(found, Trouble):
        assert found.code in CODES
        assert json.loads(refusal(found, "1"))["error"]["text"] == found.text
    else:
        assert set(found.options) == set(COMMANDS[command])


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_an_answer_is_one_line_of_ascii_and_comes_through(value: dict[str, Any]) -> None:
    told = answer(value, "1")
    assert told.endswith(b"\n")
    assert told.count(b"\n") == 1
    assert told.isascii()
    assert not [byte for byte in told[:-1] if byte < 32 or byte == 127]
    assert json.loads(told) == {"ok": True, "version": "1", "result": value}


def test_d25_secrets_are_taken_out_of_texts_and_the_rest_stays_json() -> None:
    def hide(text: str) -> str:
        return text.replace("123456", "***")

    value = {"id": 123456, "text": "it said 123456", "more": [{"text": "123456", "123456": 1}]}
    assert json.loads(answer(value, "1", hide))["result"] == {
        "id": 123456,
        "text": "it said ***",
        "more": [{"text": "***", "***": 1}],
    }
    trouble = Trouble("settings", "found 123456", "not 123456", ["123456"])
    assert b"123456" not in refusal(trouble, "1", hide)
