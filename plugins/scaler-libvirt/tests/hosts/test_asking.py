"""Whose addresses are asked for at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from scaler_libvirt.hosts.asking import AGENTS, Question, Turns
from scaler_libvirt.hosts.follow import Follower
from scaler_libvirt.settings import ProfileConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


def agents(*numbers: int) -> list[Question]:
    return [Question(uuid=str(number), mac="52:00", source="agent") for number in numbers]


def test_every_agent_has_its_turn_however_many_are_silent() -> None:
    turns, all_of_them = Turns(), agents(*range(35))
    first = [turns.next(all_of_them) for _ in range(4)]
    assert [len(each) for each in first] == [AGENTS] * 4
    assert {each.uuid for go in first for each in go} == {str(number) for number in range(35)}


def test_one_that_was_never_asked_comes_first() -> None:
    turns = Turns()
    for _ in range(3):
        turns.next(agents(*range(20)))
    assert "20" in {each.uuid for each in turns.next(agents(*range(21)))}


def test_whom_the_host_itself_knows_is_asked_each_time() -> None:
    leases = [Question(uuid=f"l{number}", mac="52:00", source="lease") for number in range(300)]
    turns = Turns()
    for _ in range(2):
        asked = turns.next([*agents(*range(15)), *leases])
        assert set(leases) <= set(asked)
        assert len(asked) == 300 + AGENTS


async def test_a_guest_gets_its_address_beside_twenty_that_do_not_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Each silent agent takes a second, and a call has twenty."""

    class Machines:
        def __init__(self) -> None:
            self.found: dict[str, Any] = {}
            self.learnt = self.found.__setitem__

        def nameless(self) -> list[Any]:
            return [machine(number) for number in range(40) if str(number) not in self.found]

    class Connection:
        name = "vm1"

        async def call(self, work: Any, *, deadline: float) -> Mapping[str, tuple[str, ...]]:
            questions = work.keywords["questions"]
            silent = [each for each in questions if each.uuid != "39"]
            with trio.fail_after(deadline):
                await trio.sleep(len(silent) * 1.0)
            return {"39": ("10.0.0.9",)} if len(silent) < len(questions) else {}

    own = ProfileConfig(address="agent")
    machines: Any = Machines()
    ties: Any = type("Ties", (), {"own": {"linux": own}})
    follower = Follower(
        Connection(),  # type: ignore[arg-type]
        ties,
        machines,
        expected=lambda _: False,
        look=trio.lowlevel.checkpoint,
        deadline=5,
    )
    with trio.move_on_after(120):
        await follower.learn()
    assert machines.found == {"39": ("10.0.0.9",)}


def machine(number: int) -> Any:
    identity = type("Identity", (), {"mac": "52:00", "profile": "linux"})
    return type("Seen", (), {"uuid": str(number), "identity": identity})
