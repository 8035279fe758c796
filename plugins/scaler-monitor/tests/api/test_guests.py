"""What a guest fetches (D16, D19, D20 at the door; the core decides who it is)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler import GuestAmbiguous, GuestNotReady, GuestUnknown, GuestUsed
from scaler_monitor.site import Door

from .fakes import Asker, FakeCore, FakeGuest, asking

PATHS = ["/boot", "/github-jitconfig"]


@pytest.fixture(params=[Door.PEOPLE, Door.GUESTS], ids=lambda door: door.value)
def ask(core: FakeCore, tmp_path: Path, request: pytest.FixtureRequest) -> Asker:
    return asking(core, tmp_path, door=request.param)


async def test_a_guest_is_known_by_its_address(ask: Asker, core: FakeCore) -> None:
    core.guests["10.0.0.9", None] = FakeGuest()
    answer = await ask("GET", "/boot", address="10.0.0.9")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == "#!/bin/sh\n# schön\n"
    answer = await ask("GET", "/github-jitconfig", address="::ffff:10.0.0.9")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == "#!/bin/sh\n# schön\n"
    assert (await ask("GET", "/boot", address="10.0.0.8")).status == 404


async def test_a_guest_is_known_by_its_secret(ask: Asker, core: FakeCore) -> None:
    core.guests["10.0.0.9", "a-secret_%"] = FakeGuest()
    for path in PATHS:
        assert (await ask("GET", f"{path}?key=a-secret_%25", address="10.0.0.9")).status == 200
        assert (await ask("GET", path, address="10.0.0.9")).status == 404


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "X-Client-IP", "Via"]
)
async def test_d16_no_header_says_who_a_guest_is(ask: Asker, core: FakeCore, header: str) -> None:
    core.guests["10.0.0.9", None] = FakeGuest()
    value = "for=10.0.0.9" if header == "Forwarded" else "10.0.0.9"
    for path in PATHS:
        answer = await ask("GET", path, address="10.0.0.8", headers={header: value})
        assert (answer.status, answer.code) == (404, "unknown-guest")
        assert core.calls[-1] == ("guest", ("10.0.0.8", None))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("error", "status", "code", "after"),
    [
        (GuestAmbiguous("two machines have this address"), 403, "ambiguous-address", None),
        (GuestNotReady("not yet", 2), 503, "not-ready", "2"),
        (GuestUnknown("nobody"), 404, "unknown-guest", None),
        (GuestUsed("it was given already"), 410, "used", None),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
@pytest.mark.parametrize("when", ["found", "given"])
async def test_what_the_core_says(
    ask: Asker,
    core: FakeCore,
    path: str,
    when: str,
    error: Exception,
    status: int,
    code: str,
    after: str | None,
) -> None:
    if when == "found":
        core.errors["guest"] = error
    core.guests["10.0.0.1", None] = FakeGuest(gives=error)
    answer = await ask("GET", path)
    assert (answer.status, answer.code) == (status, code)
    assert answer.json["message"] == str(error)
    assert answer.headers.get("Retry-After") == after


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query",
    ["key=", "key=%00", "key=%20", "key=a&key=a", "key=" + "x" * 257, "secret=x", "key=%C3%A9"],
)
async def test_mistakes_are_named(ask: Asker, core: FakeCore, path: str, query: str) -> None:
    answer = await ask("GET", f"{path}?{query}")
    assert (answer.status, answer.code) == (400, "bad-parameter")
    assert not core.calls


async def test_d28_what_can_be_used_up_is_not_used_up_by_looking(
    ask: Asker, core: FakeCore
) -> None:
    core.guests["10.0.0.1", None] = FakeGuest()
    answer = await ask("HEAD", "/github-jitconfig")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert not core.calls
    assert (await ask("HEAD", "/boot")).status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_only_get(ask: Asker, path: str, method: str) -> None:
    assert (await ask(method, path)).status == 405


async def test_d20_guests_get_nothing_else(core: FakeCore, tmp_path: Path) -> None:
    people = asking(core, tmp_path)
    guests = asking(core, tmp_path, door=Door.GUESTS)
    for rule in people.app.url_map.iter_rules():
        if rule.rule in PATHS:
            continue
        path = rule.build(dict.fromkeys(rule.arguments, "1"))
        assert path is not None
        for method in rule.methods or ():
            answer = await guests(method, path[1])
            assert answer.status == 404, (method, path[1])
    assert not core.calls
