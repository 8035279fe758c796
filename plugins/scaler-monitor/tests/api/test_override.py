"""The policy override over HTTP (D30)."""

from __future__ import annotations

import pytest

from scaler import Refused, Unavailable

from .fakes import BEARER, Asker, FakeCore

PATH = "/policy/override"


async def test_from_begin_to_end(ask: Asker, core: FakeCore) -> None:
    assert (await ask("GET", PATH)).body == b"null"
    answer = await ask("POST", f"{PATH}?linux=5&windows=0", headers=BEARER, address="192.0.2.7")
    assert (answer.status, answer.json) == (200, {"linux": 5, "windows": 0})
    assert core.calls == [("override", ({"linux": 5, "windows": 0}, "192.0.2.7"))]
    assert (await ask("GET", PATH)).json == {"linux": 5, "windows": 0}
    answer = await ask("DELETE", PATH, headers=BEARER, address="192.0.2.8")
    assert answer.json == {"linux": 5, "windows": 0}
    assert core.calls[-1] == ("override", (None, "192.0.2.8"))
    answer = await ask("DELETE", PATH, headers=BEARER)
    assert (answer.status, answer.body) == (200, b"null")
    assert (await ask("GET", PATH)).body == b"null"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_only_with_the_token(ask: Asker, core: FakeCore, method: str) -> None:
    assert (await ask(method, f"{PATH}?linux=5")).status == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert (await ask(method, f"{PATH}?linux=5", headers=wrong)).status == 403
    assert not core.calls


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("", 400, "empty"),
        ("linux", 400, "'linux'"),
        ("linux=-1", 400, "'linux'"),
        ("linux=1e3", 400, "'linux'"),
        ("linux=%D9%A3", 400, "'linux'"),
        ("linux=5&linux=6", 400, "'linux'"),
        ("linux=5&nope=x", 400, "'nope'"),
        ("linux=5&nope=1", 404, "'nope'"),
        ("..%2Fetc=1", 404, "'../etc'"),
        ("linux=10001", 413, "'linux'"),
        ("linux=" + "9" * 5000, 413, "'linux'"),
    ],
    ids=range(11),
)
async def test_d30_mistakes_are_named(
    ask: Asker, core: FakeCore, query: str, status: int, named: str
) -> None:
    answer = await ask("POST", f"{PATH}?{query}", headers=BEARER)
    assert answer.status == status
    assert named in answer.json["message"]
    assert not core.calls


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_the_others_take_no_parameters(ask: Asker, method: str) -> None:
    answer = await ask(method, f"{PATH}?linux=1", headers=BEARER)
    assert (answer.status, answer.code) == (400, "bad-parameter")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused("override-active", "one is active"), 409, "override-active"),
        (Refused("override-idle", "nothing is left to add"), 409, "override-idle"),
        (Unavailable("the ledger cannot be written"), 503, "unavailable"),
        (ValueError("wanted a count above 0"), 400, "bad-parameter"),
    ],
    ids=range(4),
)
async def test_d30_what_the_core_says(
    ask: Asker, core: FakeCore, error: Exception, status: int, code: str
) -> None:
    core.errors["override"] = error
    answer = await ask("POST", f"{PATH}?linux=1", headers=BEARER)
    assert (answer.status, answer.code, answer.json["message"]) == (status, code, str(error))
