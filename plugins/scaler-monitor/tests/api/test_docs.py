"""The reference names what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client import generate_latest

from scaler_monitor import app, doors
from scaler_monitor.api import gauges, outcomes, reserving, shots, table
from scaler_monitor.api.metrics import Tally
from scaler_monitor.plugin import Monitor
from scaler_monitor.serving.headers import named
from scaler_monitor.site import Door

from .fakes import FakeCore, served

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "monitor-api.md"
TOKEN = {True: "yes", False: "no", None: "by setting"}


@pytest.fixture
def text() -> str:
    return PAGE.read_text()


def test_every_endpoint(text: str) -> None:
    row = r"^\| `((?:GET|POST|DELETE) /\S*)` \| (yes|no|by setting) \|"
    rows = re.findall(row, text, re.MULTILINE)
    told = {f"{each.method} {each.path}": TOKEN[each.token] for each in table.ENDPOINTS}
    assert dict(rows) == told
    assert len(rows) == len(told)


def test_every_parameter_and_status(text: str) -> None:
    for each in table.ENDPOINTS:
        for name in (*each.required, *each.optional):
            assert f"| `{name}` |" in text
    rows = re.findall(r"^\| (\d{3}) \|", text, re.MULTILINE)
    assert {int(each) for each in rows} == set(table.ERRORS)


def told(text: str) -> set[tuple[int, str]]:
    """The statuses and the codes that the page tells."""
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", text, re.MULTILINE)
    return {(int(status), code) for status, cell in rows for code in re.findall(r"`(.*?)`", cell)}


def test_every_code(text: str) -> None:
    """Every one that stands in the code is told, and of those that are told each one is there."""
    sources = [path.read_text() for path in Path(app.__file__).parent.rglob("*.py")]
    found = re.findall(r'Failure\(\s*(\d{3}),\s*"([\w-]+)"', "".join(sources))
    found += [(s, c) for c, s in re.findall(r'failure\("([\w-]+)", (\d{3})', "".join(sources))]
    raised = {(int(status), code) for status, code in found}
    raised |= {(status, code) for code, status in outcomes._STATUS.items()}
    assert raised <= told(text)
    statuses = {status for status, _ in told(text)}
    named_by_status = {(status, named(status)) for status in statuses}
    assert told(text) <= raised | named_by_status


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("nonsense", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9", 408),
        ("PUT / HTTP/1.1\r\nHost: localhost\r\nConnection: close", 405),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999", 413),
        (f"GET /{'x' * 9000} HTTP/1.1\r\nHost: localhost", 414),
        (f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 17000}", 431),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip", 501),
        ("GET / HTTP/1.2\r\nHost: localhost", 505),
    ],
    ids=range(9),
)
async def test_what_a_real_server_answers_is_told(
    text: str, core: FakeCore, tmp_path: Path, monkeypatch: Any, said: str, status: int
) -> None:
    monkeypatch.setattr(app, "BODY_TIMEOUT", 0.2)
    async with served(core, tmp_path) as monitor:
        found, code = await answered(monitor, said)
    assert found == status
    assert (status, code) in told(text)


async def test_what_one_without_a_place_is_answered_is_told(
    text: str, core: FakeCore, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setitem(doors.PLACES, Door.PEOPLE, (0, 0))
    async with served(core, tmp_path) as monitor:
        found = await answered(monitor, None)
    assert found == (503, "service-unavailable")
    assert found in told(text)


async def answered(monitor: Monitor, said: str | None) -> tuple[int, str]:
    """The status and the code of the answer to a head; to nothing where none is said."""
    port = int(monitor.addresses[0].rpartition(":")[2])
    heard = b""
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            if said is not None:
                await stream.send_all(f"{said}\r\n\r\n".encode())
            while more := await stream.receive_some():
                heard += more
    head, _, body = heard.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def test_every_metric(text: str, core: FakeCore) -> None:
    view = core.now

    class Seen:
        def collect(self) -> object:
            return gauges.of(view, 0.0)

    seen = generate_latest(Seen()).decode()  # type: ignore[arg-type]
    counted = generate_latest(Tally().registry).decode()
    names = re.findall(r"^# TYPE (\S+)", seen + counted, re.MULTILINE)
    assert len(names) > 30
    missing = [name for name in names if not name.endswith("_created") and f"`{name}`" not in text]
    assert not missing


def test_the_throttles(text: str) -> None:
    told = " ".join(text.split())
    (rate, burst), (slow, few) = reserving.ADDRESS, reserving.RUN
    assert f"for each address {burst} at once and {rate:g} a second" in told
    assert f"for each run {few} and {slow:g}," in told
    assert f"{reserving.PLACES} are in hand at once and {reserving.QUEUE} wait" in told
    assert f"for each address {shots.ADDRESS[1]} at once and one a second" in told
