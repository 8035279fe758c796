"""What a plugin answers or raises is looked at in its own time, once, and kept by nobody else."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.containment import misdeeds
from tests.dispatch.toys import RUNNER, Does, does, fails, hooks

from scaler.errors import (
    Busy,
    HookFault,
    Incomplete,
    NoRoom,
    Outcome,
    Refused,
    Unavailable,
)
from scaler.hooks import SPEC, hookimpl
from scaler.records import Machine, Message, Registration, Room
from scaler.units import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Speechless(Unavailable):
    def __str__(self) -> str:
        raise SystemExit(3)


class Own(NoRoom):
    """An outcome of a plugin's own class."""


class Faceless(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            raise misdeeds.Everything("who?")
        return super().__getattribute__(name)


class Underivable(BaseExceptionGroup[BaseException]):
    def derive(self, excs: Sequence[BaseException]) -> Any:
        raise misdeeds.Everything("no")


class Annotated(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name == "__notes__":
            raise SystemExit(3)
        return super().__getattribute__(name)


class Once(list[Room]):
    """A list that can be read once."""

    def __init__(self, *rooms: Room) -> None:
        super().__init__(rooms)
        self.read = 0

    def __iter__(self) -> Iterator[Room]:
        self.read += 1
        if self.read > 1:
            raise SystemExit(3)
        return super().__iter__()


class Shy(Room):
    """A room that says what it is a few times."""

    asked = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ("name", "refuses"):
            Shy.asked += 1
            if Shy.asked > 20:
                raise SystemExit(3)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("30", "seconds as a number"),
        (True, "seconds as a number"),
        (math.nan, "from 0 up"),
        (-1, "from 0 up"),
        (math.inf, "from 0 up"),
    ],
    ids=str,
)
async def test_c43_an_outcome_that_holds_something_wrong_is_a_fault(rest: Any, wanted: str) -> None:
    dispatcher, faults = hooks(p=does(Unavailable("away", retry_after=rest)))
    fault = await fails(dispatcher)
    assert "raised Unavailable with a wrong retry_after" in fault.text
    assert wanted in fault.text
    assert faults == [fault]


async def test_c43_an_outcome_is_made_anew_and_short() -> None:
    said: list[tuple[Outcome, Outcome]] = [
        (Unavailable("x" * 30_000, retry_after=1e18), Unavailable("x" * 1999 + "…", 3600)),
        (Unavailable("soon", retry_after=3), Unavailable("soon", 3)),
        (Speechless("x"), Unavailable("Speechless (which cannot be printed)")),
        (Own("full"), NoRoom("full")),
        (Busy(), Busy()),
        (Refused("too-old", "a"), Refused("too-old", "a")),
        (Incomplete([], "part", 4), Unavailable("part", 4)),  # one answer is whole, or none
    ]
    for raised, wanted in said:
        dispatcher, faults = hooks(p=does(raised))
        with pytest.raises(Outcome) as caught:
            await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
        assert type(caught.value) is type(wanted)
        assert str(caught.value) == str(wanted)
        assert caught.value is not raised
        for name in ("retry_after", "code"):
            assert getattr(caught.value, name, None) == getattr(wanted, name, None)
        assert faults == []


async def test_c43_what_is_listed_in_part_is_judged_like_an_answer() -> None:
    rooms: list[Any] = [Room(name="a")]
    dispatcher, _ = hooks(
        p=does(Incomplete(rooms, "part")),
        q=does(Incomplete([object()], "part")),
        r=does(Incomplete([misdeeds.Hostile(name="x", ref="1")], "part")),
    )
    gathered = await dispatcher.gather(SPEC.capacity)
    assert gathered.partial == {"p": rooms}
    assert gathered.partial["p"][0] is not rooms[0]
    assert isinstance(gathered.failures["p"], Incomplete)
    assert "what it lists is wrong" in str(gathered.failures["q"])
    assert isinstance(gathered.failures["r"], HookFault)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Faceless("x"),
        lambda: Underivable("x", [ValueError("a"), KeyError("b")]),
        lambda: Underivable("x", [Faceless("x")]),
        lambda: Annotated("x"),
    ],
    ids=["no class", "no group", "no class in a group", "no notes"],
)
async def test_c40_an_error_that_fails_when_it_is_looked_at_is_a_fault(
    make: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def do() -> None:
        try:
            await trio.lowlevel.checkpoint()
        finally:
            raise make()

    dispatcher, faults = hooks(p=Does(do), q=does([Room(name="b")]))
    with caplog.at_level(logging.ERROR):
        fault = await fails(dispatcher)
        gathered = await dispatcher.gather(SPEC.capacity)
    assert fault.text.startswith("raised ")
    assert gathered.answers == {"q": [Room(name="b")]}
    assert len(faults) == 2
    assert caplog.text  # it could be formatted


async def test_c40_an_error_of_many_megabytes_is_short_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dispatcher, _ = hooks(p=does(ValueError("x" * 3_000_000)))
    await fails(dispatcher)
    assert "test_answers.py" not in caplog.text
    assert "toys.py" in caplog.text  # where it was raised is told
    assert len(caplog.text) < 20_000


async def test_c40_an_error_raised_again_and_again_does_not_grow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dispatcher, _ = hooks(p=does(ValueError("lost")))
    lengths = []
    for _ in range(5):  # (then it is left alone)
        caplog.clear()
        await fails(dispatcher)
        lengths.append(caplog.text.count("\n"))
    assert lengths[1] == lengths[3]


async def test_c43_what_was_answered_is_nobody_elses(autojump_clock: object) -> None:
    total: dict[str, Any] = {"memory": 1}
    dispatcher, _ = hooks(p=does([Room(name="a", total=total)]), q=does(Once(Shy(name="b"))))
    answers = (await dispatcher.gather(SPEC.capacity)).answers
    total["memory"] = "lots"
    assert answers["p"][0].total == {"memory": 1}
    assert [type(room) for room in answers["q"]] == [Room]
    for _ in range(100):
        assert [room.name for room in answers["q"]] == ["b"]


async def test_c43_a_copy_keeps_what_there_is() -> None:
    machine = Machine(
        id="x", state="running", addresses=("a", "b"), runner=2, room="r", facts={"a": [1, {}]}
    )
    registration = Registration(name="x", ref="1", config=Secret("hush"))
    dispatcher, _ = hooks(p=does(registration))
    answer = await dispatcher.route("p", None, SPEC.register_runner, runner=RUNNER)
    assert answer == registration
    assert answer is not registration
    assert answer.config is not None
    assert answer.config.reveal() == "hush"

    class Makes:
        @hookimpl
        async def list_machines(self) -> list[Machine]:
            return [machine]

    dispatcher, _ = hooks(p=Makes())
    assert (await dispatcher.gather(SPEC.list_machines)).answers == {"p": [machine]}


async def test_c40_what_a_marked_function_raises_before_it_is_awaited_is_a_fault() -> None:
    class Marked:
        @hookimpl
        def register_runner(self, runner: object) -> Any:
            raise SystemExit(3)

    dispatcher, faults = hooks(p=Marked())
    for impl in dispatcher._impls["register_runner"]:
        impl.awaited = True  # as `inspect.markcoroutinefunction` makes it
    assert "raised SystemExit: 3" in (await fails(dispatcher)).text
    assert len(faults) == 1


async def test_c42_a_reader_that_is_left_alone_does_not_read_too_slowly(
    autojump_clock: object,
) -> None:
    class Breaks:
        @hookimpl
        async def on_message(self, message: Message) -> None:
            raise ValueError(message.id)

    dispatcher, faults = hooks(p=Breaks())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run_mailboxes)
        for number in range(20):
            dispatcher.tell(SPEC.on_message, message=Message(id=str(number), profile=None))
        await dispatcher.drain_mailboxes()
        nursery.cancel_scope.cancel()
    assert {fault.hook for fault in faults} == {"on_message"}
    assert len(faults) == 5
