"""D13: whoever asks without a token cannot spend what runners need."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Refused, Selection, SelectionRequest, Unavailable
from scaler_github.client import GitHubError, Kind, Limits, Purpose
from scaler_github.selecting.codes import Code, refused
from scaler_github.selecting.query import Query, read
from scaler_github.selecting.spending import Spending

World = Any
LIMIT, MANY = 5000, 100_000
NOW = 1_795_291_200.0


def told(remaining: int, left: float = 3600.0) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(LIMIT),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(NOW + left)),
    }


class Hour:
    """GitHub's count of one credential; each answer tells what is left."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.left = LIMIT
        self.began = trio.current_time()
        self.made = 0
        self._heard()

    def _heard(self) -> None:
        passed = trio.current_time() - self.began
        self.limits.heard(told(self.left, 3600 - passed), NOW)

    async def call(self, purpose: Purpose, method: str = "GET") -> bool:
        """Whether it was let through."""
        try:
            async with self.limits.call(method, purpose):
                self.left -= 1
                self._heard()
        except GitHubError:
            return False
        self.made += 1
        return True


async def test_d13_a_hundred_thousand_leave_the_hour_to_runners(autojump_clock: MockClock) -> None:
    hour = Hour()
    selected = 0
    for number in range(MANY):
        selected += await hour.call(Purpose.SELECTING)
        if number % (MANY // 50) == 0:
            began = trio.current_time()
            assert await hour.call(Purpose.PROVISIONING, "POST")
            assert trio.current_time() == began  # and nobody has to wait for it
            await trio.sleep(60)
    assert selected == LIMIT // 5
    assert hour.left == LIMIT - LIMIT // 5 - 50
    assert await hour.call(Purpose.ROUTINE)


async def test_d13_a_minute_has_its_share_too(autojump_clock: MockClock) -> None:
    hour = Hour()
    selected = sum([await hour.call(Purpose.SELECTING) for _ in range(1000)])
    assert selected == 180
    assert trio.current_time() - hour.began == 0  # the others were not kept waiting
    await trio.sleep(60)
    assert await hour.call(Purpose.SELECTING)


async def test_d13_the_next_hour_begins_anew(autojump_clock: MockClock) -> None:
    hour = Hour()
    for _ in range(6):
        for _ in range(300):
            await hour.call(Purpose.SELECTING)
        await trio.sleep(60)
    assert hour.made == 1000
    await trio.sleep(3600 - 360)
    hour.left, hour.began = LIMIT, trio.current_time()
    assert await hour.call(Purpose.SELECTING)  # its answer tells of the new window
    for _ in range(170):
        assert await hour.call(Purpose.SELECTING)


async def test_d13_it_leaves_the_reserve(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(1000), NOW)
    with pytest.raises(GitHubError, match="kept for runners"):
        async with limits.call("GET", Purpose.SELECTING):
            pass
    async with limits.call("GET", Purpose.PROVISIONING):
        pass


async def test_d13_so_many_at_once(autojump_clock: MockClock) -> None:
    limits, now, most = Limits(), 0, 0

    async def call() -> None:
        nonlocal now, most
        async with limits.call("GET", Purpose.SELECTING):
            now += 1
            most = max(most, now)
            await trio.sleep(1)
            now -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(24):
            nursery.start_soon(call)
        await trio.sleep(0.5)
        began = trio.current_time()
        async with limits.call("POST", Purpose.PROVISIONING):
            assert trio.current_time() == began
    assert most == 12


async def test_d13_nobody_waits_long_for_a_turn(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    limits = Limits()

    async def call() -> None:
        async with limits.call("GET", Purpose.SELECTING):
            await trio.sleep(1000)

    for _ in range(12):
        nursery.start_soon(call)
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    with trio.fail_after(10), pytest.raises(GitHubError, match="12 calls are under way") as caught:
        await call()
    assert trio.current_time() - began == pytest.approx(2)
    assert caught.value.kind is Kind.RETRY
    nursery.cancel_scope.cancel()


async def test_d13_requests_without_a_proof(world: World, autojump_clock: MockClock) -> None:
    """Of every kind: malformed, of others' repositories, of many runs and of one."""
    outcomes: dict[str, int] = {}
    for number in range(4000):
        kind = number % 4
        request = SelectionRequest(
            unique_id=str(uuid.UUID(int=number, version=4)) if kind else "x",
            qualified_repo="other/repo" if kind == 1 else "acme/widgets",
            run_id=str(number + 1) if kind == 2 else str(world.run.id),
        )
        try:
            await world.select.select_runner(request)
        except Refused as no:
            outcomes[no.code] = outcomes.get(no.code, 0) + 1
        except Unavailable as later:
            word = "later" if later.retry_after else "some time"
            outcomes[word] = outcomes.get(word, 0) + 1
    assert outcomes["malformed-request"] == outcomes["repo-not-allowed"] == 1000
    assert outcomes["artifact-not-found"] <= 30
    assert "some time" not in outcomes
    assert sum(outcomes.values()) == 4000
    assert world.calls() <= 181  # one, before anything was known of limits
    account = world.github.accounts[""]
    async with account.open():
        began = trio.current_time()
        await account.rest.call("POST", "orgs/acme/actions/runners/registration-token", "x")
        assert trio.current_time() == began


# --- accounts of runs ------------------------------------------------------------------


def query(number: int, run: int = 7) -> Query:
    unique = str(uuid.UUID(int=number, version=4))
    return read(SelectionRequest(unique_id=unique, qualified_repo="Acme/w", run_id=str(run)))


async def test_d13_what_is_remembered_is_bounded(autojump_clock: MockClock) -> None:
    spending = Spending(20)
    for number in range(12_000):
        one = query(number, number + 1)
        spending.check(one)
        spending.refused(one, refused(Code.NO_ARTIFACT))
        spending.granted(one, Selection(profile="linux"), 100)
    for kept in (spending._noes, spending._yeses, spending._looks, spending._grants):
        assert len(kept._values) == 10_000
    with pytest.raises(Refused):
        spending.known(query(11_999, 12_000))


async def test_d6_grants_of_an_hour_are_forgotten_one_by_one(autojump_clock: MockClock) -> None:
    spending = Spending(2)
    for number, pause in ((1, 1800), (2, 1799)):
        spending.check(query(number))
        spending.granted(query(number), Selection(profile="linux"), 100)
        await trio.sleep(pause)
    with pytest.raises(Refused, match="within the hour"):
        spending.check(query(3))
    await trio.sleep(2)
    spending.check(query(3))
    spending.granted(query(3), Selection(profile="linux"), 100)
    with pytest.raises(Refused):
        spending.check(query(4))
    spending.check(query(2))  # which has its reservation


async def test_case_does_not_make_another_run(autojump_clock: MockClock) -> None:
    spending = Spending(1)
    spending.granted(query(1), Selection(profile="linux"), 100)
    other = SelectionRequest(
        unique_id=query(2).unique_id, qualified_repo="ACME/W", run_id=query(2).run_id
    )
    with pytest.raises(Refused):
        spending.check(read(other))


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.value)
async def test_how_long_a_no_stands(code: Code, autojump_clock: MockClock) -> None:
    """As the reference says."""
    free = {Code.MALFORMED, Code.REPO, Code.QUOTA}
    soon = {Code.NO_RUN, Code.RUN_OVER, Code.NO_ARTIFACT, Code.TOO_NEW}
    seconds = 0 if code in free else 5 if code in soon else 60
    spending = Spending(1)
    spending.refused(query(1), refused(code, "x"))
    if seconds:
        await trio.sleep(seconds - 0.1)
        with pytest.raises(Refused) as caught:
            spending.known(query(1))
        assert (caught.value.code, str(caught.value)[-3:]) == (code.value, ": x")
        await trio.sleep(0.1)
    assert spending.known(query(1)) is None


async def test_other_limits_count_at_once_and_what_was_spent_stays(
    autojump_clock: MockClock,
) -> None:
    spending = Spending(1)
    spending.check(query(1))
    spending.granted(query(1), Selection(profile="linux"), 100)
    spending.refused(query(2), refused(Code.EVENT))
    spending.renew(2)
    assert spending.known(query(1)) is None, "by the old rules"
    assert spending.known(query(2)) is None
    spending.check(query(2))
    spending.granted(query(2), Selection(profile="linux"), 100)
    with pytest.raises(Refused, match="within the hour"):
        spending.check(query(3))
    spending.renew(1)
    with pytest.raises(Refused, match="within the hour"):
        spending.check(query(3))
