"""Reserving runners over HTTP."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from scaler import Refused, Reservation, Selection, SelectionRequest, Unavailable
from scaler_monitor.api import gate, reserving

from .fakes import BEARER, TOKEN, UNIQUE, WHO, Asker, FakeCore, asking

TAKE = f"/profile/linux/take?{WHO}"
TAKE_TWO = f"/profile/linux/take/2?{WHO}"
SELECT = f"/select-runner?{WHO}"


async def test_take_answers_one_object(ask: Asker, core: FakeCore) -> None:
    before = int(time.time())
    answer = await ask("POST", TAKE, headers=BEARER)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["id"] == 1
    assert answer.json["screenshot_url"] == "https://ci.example.org/runner/1/screenshot"
    shown = answer.json["runner"]
    assert (shown["id"], shown["name"], shown["status"]) == (1, "linux.1@here", "Reserved")
    since = shown["reservation"]["since"]
    assert before <= since <= time.time()
    labels = [each["name"] for each in shown["registration"]["labels"]]
    assert labels[-4:] == [
        "self-hosted-image:linux",
        f"reserved-for:{UNIQUE}",
        f"reserved-since:{since}",
        "reserved-by:acme/widget/actions/runs/42",
    ]
    [(name, (selection, reservation, wait))] = core.calls
    assert name == "take"
    assert selection == Selection(profile="linux", count=1)
    assert reservation == Reservation(
        unique_id=UNIQUE, qualified_repo="acme/widget", run_id="42", since=since
    )
    assert isinstance(reservation.since, int)
    assert wait == 0


async def test_take_of_several_answers_an_array(ask: Asker) -> None:
    answer = await ask("POST", TAKE_TWO, headers=BEARER)
    assert [each["id"] for each in answer.json] == [1, 2]
    one = await ask("POST", f"/profile/linux/take/1?{WHO}", headers=BEARER)
    assert [each["id"] for each in one.json] == [3]


async def test_null_where_not_so_many_are_idle(ask: Asker, core: FakeCore) -> None:
    core.idle = core.idle[:1]
    for path in (TAKE_TWO, f"/profile/windows/take?{WHO}"):
        answer = await ask("POST", path, headers=BEARER)
        assert (answer.status, answer.body) == (200, b"null")
    core.idle = []
    answer = await ask("POST", SELECT)
    assert (answer.status, answer.body) == (200, b"null")


async def test_a_wait_is_handed_on(ask: Asker, core: FakeCore) -> None:
    for text, seconds in (("30s", 30), ("1m", 60), ("0s", 0)):
        await ask("POST", f"{TAKE}&wait={text}", headers=BEARER)
        assert core.calls[-1][1][2] == seconds
    answer = await ask("POST", f"{TAKE}&wait=61s", headers=BEARER)
    assert answer.status == 400
    assert "'wait'" in answer.json["message"]


async def test_select_asks_and_then_takes(ask: Asker, core: FakeCore) -> None:
    core.selection = Selection(profile="linux", count=2)
    answer = await ask("POST", SELECT, address="192.0.2.7")
    assert [each["id"] for each in answer.json] == [1, 2]
    request = SelectionRequest(
        unique_id=UNIQUE, qualified_repo="acme/widget", run_id="42", address="192.0.2.7"
    )
    assert core.calls[0] == ("select", request)
    assert core.calls[1][1][0] == core.selection
    await ask("POST", f"{SELECT}&wait=5s")
    assert core.calls[-1][1][2] == 5
    answer = await ask("POST", f"{SELECT}&wait=61s")
    assert "'wait'" in answer.json["message"]


async def test_d25_a_stranger_is_not_told_what_github_said(
    ask: Asker, core: FakeCore, caplog: pytest.LogCaptureFixture
) -> None:
    core.errors["select"] = Unavailable("GitHub answered 500: the inside of it", 7.0)
    answer = await ask("POST", SELECT)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "7"
    assert "inside" not in str(answer.json)
    [line] = [each.getMessage() for each in caplog.records if "inside" in each.getMessage()]
    assert answer.json["request_id"] in line


@pytest.mark.parametrize("path", [TAKE, TAKE_TWO])
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, "no-token"),
        ([("Authorization", TOKEN)], 401, "no-token"),
        ([("Authorization", f"Bearer {TOKEN}")] * 2, 401, "no-token"),
        ([("Authorization", f"Bearer {TOKEN[:-1]}")], 403, "wrong-token"),
        ([("Authorization", "Bearer sch\xfcn")], 403, "wrong-token"),
    ],
    ids=range(5),
)
async def test_d15_only_with_the_token(
    ask: Asker, core: FakeCore, path: str, headers: list[tuple[str, str]], status: int, code: str
) -> None:
    from werkzeug.datastructures import Headers

    answer = await ask("POST", path, headers=Headers(headers))
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert TOKEN[:-1] not in answer.body.decode()
    assert not core.calls


async def test_d15_no_token_in_the_query(ask: Asker) -> None:
    for more in (f"token={TOKEN}", f"access_token={TOKEN}"):
        assert (await ask("POST", f"{TAKE}&{more}")).status == 401


async def test_d15_what_is_asked_for_says_nothing_without_a_token(ask: Asker) -> None:
    told = [await ask("POST", path) for path in (TAKE, "/profile/nope/take", TAKE + "&x=1")]
    assert {(each.status, each.code, each.json["message"]) for each in told} == {
        (401, "no-token", "wanted one header: Authorization: Bearer TOKEN")
    }


@pytest.mark.parametrize("count", ["0", "-1", "1e3", "%D9%A3", "1_0", "%207%20", "x", "01", "1.0"])
async def test_d7_a_count_that_is_none(ask: Asker, core: FakeCore, count: str) -> None:
    answer = await ask("POST", f"/profile/linux/take/{count}?{WHO}", headers=BEARER)
    assert (answer.status, answer.code) == (400, "bad-parameter")
    assert "'count'" in answer.json["message"]
    assert not core.calls


@pytest.mark.parametrize("count", ["5", "10001", "1" + "0" * 30, "9" * 5000], ids=len)
async def test_d7_a_count_above_what_there_may_be(ask: Asker, count: str) -> None:
    answer = await ask("POST", f"/profile/linux/take/{count}?{WHO}", headers=BEARER)
    assert (answer.status, answer.code) == (413, "too-many")


@pytest.mark.parametrize("path", [TAKE, TAKE_TWO, SELECT])
async def test_mistakes_are_named_before_anything_is_asked(
    ask: Asker, core: FakeCore, path: str
) -> None:
    for text, name in (
        (path.replace("unique_id=", "uniqueid="), "uniqueid"),
        (path.replace("&run_id=42", ""), "run_id"),
        (path.replace("run_id=42", "run_id=%D9%A3"), "run_id"),
        (path.replace("acme/widget", "acme/.."), "qualified_repo"),
        (path + "&run_id=42", "run_id"),
        (path + "&run_id=43", "run_id"),
    ):
        answer = await ask("POST", text, headers=BEARER)
        assert (answer.status, answer.code) == (400, "bad-parameter")
        assert f"'{name}'" in answer.json["message"]
        assert answer.json["request_id"]
    assert not core.calls


@pytest.mark.parametrize("key", ["nope", "..", "%2e%2e", "linux%00", "LINUX", "%2Fetc", "<script>"])
async def test_d21_a_profile_that_there_is_not(ask: Asker, key: str) -> None:
    for path in (f"/profile/{key}/take?{WHO}", f"/profile/{key}/take/1?{WHO}"):
        answer = await ask("POST", path, headers=BEARER)
        assert answer.status == 404


@pytest.mark.parametrize(
    ("error", "status", "code", "after"),
    [
        (Refused("not-reservable", "no labels there"), 409, "not-reservable", None),
        (Refused("unique-id-used", "by another run"), 409, "unique-id-used", None),
        (Refused("too-many", "4 at most"), 413, "too-many", None),
        (Unavailable("labels cannot be put", 2.5), 503, "unavailable", "3"),
        (Unavailable("stopping"), 503, "unavailable", "5"),
    ],
    ids=lambda each: getattr(each, "code", None),
)
async def test_what_the_core_says(
    ask: Asker, core: FakeCore, error: Exception, status: int, code: str, after: str | None
) -> None:
    core.errors["take"] = error
    for path in (TAKE, TAKE_TWO, SELECT):
        answer = await ask("POST", path, headers=BEARER)
        assert (answer.status, answer.code) == (status, code)
        assert answer.json["message"] == str(error)
        assert answer.headers.get("Retry-After") == after


async def test_a_proof_that_is_refused(ask: Asker, core: FakeCore) -> None:
    core.errors["select"] = Refused("artifact-too-old", "it is 7 minutes old, wanted 5 at most")
    answer = await ask("POST", SELECT)
    assert (answer.status, answer.code) == (403, "artifact-too-old")
    assert answer.json["message"] == "it is 7 minutes old, wanted 5 at most"
    core.errors["select"] = Unavailable("GitHub does not answer", 30)
    answer = await ask("POST", SELECT)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert not [each for each in core.calls if each[0] == "take"]


async def test_a_selection_of_a_profile_that_there_is_not(ask: Asker, core: FakeCore) -> None:
    core.selection = Selection(profile="gone")
    assert (await ask("POST", SELECT)).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_only_post(ask: Asker, core: FakeCore, method: str) -> None:
    for path in (TAKE, TAKE_TWO, SELECT):
        answer = await ask(method, path, headers=BEARER)
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
    assert not core.calls


async def test_d13_one_address_is_throttled_before_anything_is_asked(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    rate, burst = reserving.ADDRESS
    told = []
    for number in range(burst + 20):
        path = SELECT.replace("run_id=42", f"run_id={number + 1}")
        told.append(await ask("POST", path, address="192.0.2.7"))
    assert [each.status for each in told] == [200] * burst + [429] * 20
    assert told[-1].code == "too-many-requests"
    assert int(told[-1].headers["Retry-After"]) >= 1
    assert len([each for each in core.calls if each[0] == "select"]) == burst
    assert (await ask("POST", SELECT, address="192.0.2.8")).status == 200
    mock_clock.jump(1 / rate)
    assert (await ask("POST", SELECT, address="192.0.2.7")).status == 200
    assert (await ask("POST", SELECT, address="192.0.2.7")).status == 429


async def test_d13_one_run_is_throttled_from_wherever_it_asks(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    _, burst = reserving.RUN
    told = []
    for number in range(burst + 5):
        path = SELECT.replace("acme", ("acme", "ACME")[number % 2])
        told.append((await ask("POST", path, address=f"192.0.2.{number + 1}")).status)
    assert told == [200] * burst + [429] * 5
    other = SELECT.replace("run_id=42", "run_id=43")
    assert (await ask("POST", other, address="192.0.2.1")).status == 200
    del mock_clock


async def test_d13_wrong_requests_cost_nobody_anything(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    for _ in range(reserving.ADDRESS[1] + 10):
        assert (await ask("POST", SELECT + "&x=1")).status == 400
    assert (await ask("POST", SELECT)).status == 200
    del mock_clock


async def test_d13_so_many_are_in_hand_and_wait_and_no_more(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock
) -> None:
    ask = asking(core, tmp_path)
    core.gate = trio.Event()
    in_all = reserving.PLACES + reserving.QUEUE
    told: dict[int, int] = {}

    async def select(number: int) -> None:
        path = SELECT.replace("run_id=42", f"run_id={number + 1}")
        answer = await ask("POST", path, address=f"192.0.2.{number + 1}")
        told[number] = answer.status
        if answer.status == 503:
            assert answer.code == "too-busy"
            assert answer.headers["Retry-After"]

    async with trio.open_nursery() as nursery:
        for number in range(in_all):
            nursery.start_soon(select, number)
            await wait_all_tasks_blocked()
        assert not told
        assert len(core.calls) == reserving.PLACES
        await select(in_all)
        assert told == {in_all: 503}
        mock_clock.jump(gate.PATIENCE)
        await wait_all_tasks_blocked()
        assert sorted(told.values()) == [503] * (reserving.QUEUE + 1)
        core.gate.set()
    core.gate = None
    assert len([each for each in told.values() if each == 200]) == reserving.PLACES
    await select(100)
    assert told[100] == 200


async def test_who_waits_in_the_queue_is_served_when_there_is_a_place(
    core: FakeCore, tmp_path: Path
) -> None:
    ask = asking(core, tmp_path)
    core.gate = trio.Event()
    told = []

    async def select(number: int) -> None:
        path = SELECT.replace("run_id=42", f"run_id={number + 1}")
        told.append((await ask("POST", path, address=f"192.0.2.{number + 1}")).status)

    async with trio.open_nursery() as nursery:
        for number in range(reserving.PLACES + 5):
            nursery.start_soon(select, number)
        await wait_all_tasks_blocked()
        core.gate.set()
    assert told == [200] * (reserving.PLACES + 5)
