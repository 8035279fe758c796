"""C12: tokens of every kind expire at every step, and new ones that GitHub does not know yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.faults.apps import INSTALLATION, install
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from tests.faults.world import World
from trio.testing import MockClock

from scaler_github.testing.tokens import Lifetimes

if TYPE_CHECKING:
    from scaler_github.testing.doors import TokenKind

HOUR = 3600.0
KINDS: list[TokenKind | None] = [None, "installation", "registration", "admin", "queue"]
# Every call of a job's way through both flows
STEPS = [
    "installation-token",
    "registration-token",
    "runner-registration",
    "find-scale-set",
    "create-scale-set",
    "create-session",
    "poll",
    "delete-message",
    "acquire",
    "jitconfig",
    "get-agent",
    "list-agents",
    "delete-agent",
    "refresh-session",
    "delete-session",
]


def more_than(world: World, step: str, seen: int) -> bool:
    return world.simulator.count(step) > seen


async def expire_under(world: World, kinds: list[TokenKind | None], step: str) -> None:
    """Let tokens end while calls of a step are under way: of one kind after the other."""
    world.simulator.delays[step] = 2.0
    while True:
        seen = world.simulator.count(step)
        await world.until(partial(more_than, world, step, seen), 10 * HOUR)
        await trio.sleep(1)
        kind = kinds.pop(0)
        world.simulator.expire_tokens(kind)
        world.oracle.tell(f"{kind or 'every token'} expires under {step}")
        if not kinds:
            return
        await trio.sleep(20)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("first", [None, "admin"], ids=["all", "admin"])
async def test_c12_expired_under_a_call(
    autojump_clock: MockClock,
    faults: Faults,
    app: str,
    key: rsa.RSAPrivateKey,
    first: TokenKind | None,
    step: str,
) -> None:
    """It ends between the sending of a call and its being looked at: each kind in its turn.

    Some steps are taken once or twice only: the two kinds that matter most come first there.
    """
    async with (
        faults(flow="offered", credential=app, most=2) as world,
        trio.open_nursery() as nursery,
    ):
        install(world, key)
        kinds = [first, *(kind for kind in KINDS if kind != first)]
        nursery.start_soon(expire_under, world, kinds, step)
        await trio.testing.wait_all_tasks_blocked()
        async with world.scaler():
            world.queue(2, run_time=20)
            await world.online(1)
            world.simulator.expire_tokens("queue")
            world.simulator.expire_tokens("admin")
            await trio.sleep(90)
            world.queue(2, run_time=20)
            await trio.sleep(90)
            await world.recovers()
            await world.settled()
            assert not world.degraded()
        nursery.cancel_scope.cancel()
    bound = 16
    for route in ("installation-token", "registration-token", "runner-registration"):
        assert world.simulator.count(route) <= bound, route
    assert world.simulator.count("unknown") == 0
    assert world.simulator.count("create-scale-set") <= 2


async def test_c12_renewed_a_minute_before(
    autojump_clock: MockClock, faults: Faults, flow: str, app: str, key: rsa.RSAPrivateKey
) -> None:
    """REST and admin tokens are never used when they are over: no call is answered 401."""
    lifetimes = Lifetimes(installation=1000, registration=400, admin=700)
    async with faults(flow=flow, credential=app, lifetimes=lifetimes) as world:
        install(world, key)
        async with world.scaler():
            for _ in range(10):
                world.queue(2, run_time=30)
                await trio.sleep(600)
            await world.settled()
        refused = [e for e in world.simulator.history.exchanges if e.status == 401]
        # (the queue's token is renewed when it is refused: C5)
        assert {each.route for each in refused} <= {"poll", "delete-message", "acquire"}
        admin = pauses(world.times("runner-registration"))
        assert max(admin) <= 700 - 60 + 30 + 1, "not 60 s before it ends (and at a call)"
        assert min(admin) >= 600
        assert world.wells() == [True]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
async def test_c12_not_known_everywhere_yet(
    autojump_clock: MockClock, faults: Faults, flow: str, status: int, times: int
) -> None:
    """A fresh registration token is refused for a while: four more tries with the same."""
    async with faults(flow=flow) as world:
        world.simulator.faults.add("runner-registration", status=status, times=times)
        async with world.scaler():
            await world.listens()
            assert len(world.calls("runner-registration")) == times + 1
            assert len(world.calls("registration-token")) == 1
            await world.recovers()
            await world.settled()


@pytest.mark.parametrize("status", [401, 403])
async def test_c12_never_known(
    autojump_clock: MockClock, faults: Faults, flow: str, status: int
) -> None:
    """Refused for good: told, and asked for again without a storm."""
    five = {"runner-registration": 10}
    async with faults(flow=flow, assign_timeout=None, failures=five) as world:
        world.simulator.faults.add("runner-registration", status=status, times=None)
        async with world.scaler():
            await trio.sleep(60)
            world.queue(2, run_time=20)
            await trio.sleep(HOUR / 2)
            assert world.degraded()
            tries = len(world.calls("runner-registration"))
            assert tries == 5 * len(world.calls("registration-token")), "four more for each token"
            world.simulator.faults.clear()
            await world.recovers()
            await world.settled()


async def test_c12_one_renewal_for_all(
    autojump_clock: MockClock, faults: Faults, app: str, key: rsa.RSAPrivateKey
) -> None:
    """Whatever asks at once while all tokens are over, the chain is walked once."""
    async with faults(credential=app, most=8) as world:
        install(world, key)
        async with world.scaler():
            await world.listens()
            await trio.sleep(60)
            since = trio.current_time()
            for route in ("installation-token", "registration-token", "runner-registration"):
                world.simulator.delays[route] = 3
            world.simulator.expire_tokens()
            world.queue(8, run_time=30)
            await world.recovers()
            for route in ("registration-token", "runner-registration"):
                assert len([e for e in world.calls(route, since) if e.status in {200, 201}]) == 1
            assert len(world.calls("installation-token", since)) == 1
            await world.settled()


@pytest.mark.parametrize("flow", ["assigned"])
async def test_c12_installation_is_suspended(
    autojump_clock: MockClock, faults: Faults, flow: str, app: str, key: rsa.RSAPrivateKey
) -> None:
    """A person's doing, and undoing: told, nothing is destroyed, then it goes on."""
    async with faults(flow=flow, credential=app, target=1, most=4) as world:
        install(world, key)
        async with world.scaler():
            world.queue(1, run_time=HOUR)
            await world.online()
            await world.until(lambda: len(world.machines.boxes) == 2)
            await trio.sleep(60)
            boxes = list(world.machines.boxes.values())
            world.simulator.suspend_app(INSTALLATION)
            world.simulator.expire_tokens()
            await trio.sleep(HOUR / 3)
            assert world.degraded()
            assert list(world.machines.boxes.values()) == boxes
            assert world.per_minute("installation-token") <= 4
            world.simulator.suspend_app(INSTALLATION, suspended=False)
            world.queue(3, run_time=30)
            await world.recovers()
            await world.settled(3 * HOUR)
