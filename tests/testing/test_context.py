"""A context without a core: the same class, and what stands behind it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import (
    Context,
    GuestAmbiguous,
    GuestUnknown,
    GuestUsed,
    Job,
    Machine,
    Message,
    Profile,
    Refused,
    Registration,
    Reservation,
    Runner,
    RunnerState,
    Secret,
    Selection,
    SelectionRequest,
    Unavailable,
)
from scaler.context import Core
from scaler.testing import FakeContext, FakeCore, FakeGuest, Memory
from scaler.testing.fakecore import picture_of

if TYPE_CHECKING:
    from pathlib import Path


def test_it_overrides_nothing_of_context() -> None:
    own = {name for name, _ in inspect.getmembers(Context, callable) if not name.startswith("__")}
    assert own
    assert not own & set(vars(FakeContext))


def test_the_core_has_all_that_a_context_stands_in_front_of() -> None:
    for name, method in inspect.getmembers(Core, inspect.isfunction):
        if name.startswith("_"):
            continue
        mine = getattr(FakeCore, name)
        assert list(inspect.signature(mine).parameters) == list(
            inspect.signature(method).parameters
        ), name
        assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(method), name


async def test_facts_and_evidence_outlive_an_instance() -> None:
    first: FakeContext[Any, Any] = FakeContext(name="mine")
    await first.save("seen", {"a": (1, 2)})
    assert await first.keep(7, "end.log", b"the end")
    (first.folder / "file").touch()
    second: FakeContext[Any, Any] = FakeContext(name="mine", memory=first.memory)
    assert await second.load("seen") == {"a": [1, 2]}  # as JSON has it
    assert [kept.name for kept in second.kept(7)] == ["end.log"]
    assert await second.evidence(7, "end.log") == b"the end"
    assert await second.keep(7, "end.log", b"")
    assert second.kept(7) == ()
    assert (second.folder / "file").exists()
    await second.save("seen", None)
    assert await first.load("seen") is None
    for name, data in [("../up", b"x"), ("big", bytes(2 << 20))]:
        with pytest.raises(ValueError, match="found"):
            await first.keep(7, name, data)
    with pytest.raises(LookupError, match="no runner or profile"):
        await first.keep("windows", "end.log", b"x")


def test_a_snapshot_is_what_there_was(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "mine")
    (memory.folder / "file").write_text("before")
    memory.facts["list"] = [1]
    memory.beside("other").facts["there"] = True
    left = memory.copy()
    (memory.folder / "file").write_text("after")
    memory.facts["list"].append(2)
    assert (left.folder / "file").read_text() == "before"
    assert left.facts == {"list": [1]}
    assert left.beside("other").facts == {"there": True}
    folder = left.folder
    del left
    assert not folder.exists()
    assert memory.folder.exists()


async def test_deliveries_are_noted_or_refused() -> None:
    context: FakeContext[Any, Any] = FakeContext()
    message = Message(id="1", profile="linux", jobs=(Job(id="a", state="assigned"),), cursor=7)
    context.core.fail_deliver()
    with pytest.raises(Unavailable):
        await context.deliver(message)
    assert (context.core.messages, context.core.refused) == ([], [message])
    assert await context.load("cursor/linux") is None
    await context.deliver(message)
    assert context.core.messages == [message]
    assert await context.load("cursor/linux") == 7
    with pytest.raises(LookupError):
        await context.deliver(Message(id="2", profile="windows"))
    with pytest.raises(TypeError):
        await context.deliver(Message(id="3", profile="linux", demand="many"))  # type: ignore[arg-type]


async def test_ceilings_change_and_end_with_stopping(
    autojump_clock: trio.testing.MockClock,
) -> None:
    context: FakeContext[Any, Any] = FakeContext(
        profiles={"linux": Profile(name="linux", labels=("a", "b"), max_count=2)}
    )
    assert context.ceiling("linux") == 2
    assert (context.match(("A", "self-hosted")), context.match(("c",))) == ("linux", None)
    seen: list[int] = []

    async def watch() -> None:
        last = 2
        while last:
            last = await context.ceiling_changed("linux", last)
            seen.append(last)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.sleep(1)
            context.core.set_ceiling("linux", 5)
            await trio.sleep(1)
            context.stopping.set()
    assert seen == [5, 0]


async def test_what_is_said_is_noted_and_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    context: FakeContext[Any, Any] = FakeContext(name="mine")
    core = context.core
    async with trio.open_nursery() as nursery:
        nursery.start_soon(core.until, lambda: core.machines and core.capacity_changes)
        await trio.sleep(1)
        context.machine_changed(Machine(runner=1, id="a"))
        context.capacity_changed()
    context.registration_changed(Registration(name="linux.1@here", online=True))
    assert [each.online for each in core.registrations] == [True]
    context.report("fine")
    context.report("broken", ok=False, left=1)
    assert [each.text for each in core.reports] == ["fine", "broken"]
    assert [(each.text, each.plugin) for each in context.view().reports] == [("broken", "mine")]
    with pytest.raises(trio.TooSlowError):
        await core.until(lambda: False)
    await trio.to_thread.run_sync(context.capacity_changed)  # as from a plain hook
    assert core.capacity_changes == 2


async def test_doors_answer_what_a_test_put_there() -> None:
    context: FakeContext[Any, Any] = FakeContext()
    core = context.core
    request = SelectionRequest(unique_id="u", qualified_repo="acme/web", run_id="1")
    with pytest.raises(Refused):
        await context.select(request)
    core.selections["u"] = Selection(profile="linux")
    selection = await context.select(request)
    reservation = Reservation(unique_id="u", qualified_repo="acme/web", run_id="1", since=0)
    assert await context.take(selection, reservation) == ()
    idle = Runner(id=1, name="linux.1@here", profile="linux", state=RunnerState.IDLE)
    core.runners.append(idle)
    view = context.view()
    [taken] = await context.take(selection, reservation)
    assert (taken.state, taken.reservation) == (RunnerState.RESERVED, reservation)
    assert (await context.next_view(view)).runners == (taken,)

    core.guests["192.0.2.1"] = FakeGuest(profile="linux", runner=1, config=Secret("c"), secret="s")
    core.guests["192.0.2.2"] = FakeGuest(profile="linux", script="#!/bin/sh", secret="s")
    assert (await context.guest("192.0.2.1").registration()).reveal() == "c"
    assert await context.guest("192.0.2.2").boot() == "#!/bin/sh"
    with pytest.raises(GuestUnknown):
        context.guest("192.0.2.3")
    with pytest.raises(GuestAmbiguous):
        context.guest("192.0.2.3", "s")
    with pytest.raises(GuestUnknown):
        await context.guest("192.0.2.2").registration()
    core.guests["192.0.2.1"].config = None
    with pytest.raises(GuestUsed):
        await context.guest("192.0.2.1").registration()

    machine = Machine(runner=1, id="a")
    with pytest.raises(Unavailable):
        await context.screenshot(machine)
    core.pictures["a"] = picture_of(b"png")
    assert (await context.screenshot(machine)).png == b"png"
    assert context.picture("a") == core.pictures["a"]
    assert await context.panels() == {}
    assert await context.override({"linux": 2}) == {"linux": 2}
    assert await context.override(None) == {"linux": 2}


async def test_siblings_are_who_a_test_says() -> None:
    context: FakeContext[Any, Any] = FakeContext()
    with pytest.raises(LookupError):
        context.plugin(Memory)
    context.core.siblings[Memory] = memory = Memory()
    assert context.plugin(Memory) is memory
