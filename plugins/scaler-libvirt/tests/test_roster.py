"""What is known of a host's machines, between events and looks in any order."""

from __future__ import annotations

from dataclasses import replace

from scaler_libvirt.hosts.driver import Seen
from scaler_libvirt.hosts.roster import Roster
from scaler_libvirt.machine.identity import Identity


def seen(number: int) -> Seen:
    identity = Identity(scaler="here", runner=number)
    return Seen(uuid=f"u{number}", domain=f"d{number}", identity=identity, running=True)


def test_a_machine_is_new_once() -> None:
    roster = Roster()
    assert roster.saw(seen(1))
    assert not roster.saw(seen(1))
    assert roster.uuid_of(1) == "u1"


def test_an_end_is_told_once() -> None:
    roster = Roster()
    roster.saw(seen(1))
    assert roster.ended("u1", "crashed") == seen(1)
    assert roster.ended("u1", "destroyed") is None
    assert roster.uuid_of(1) is None


def test_a_look_that_began_before_the_end_brings_nothing_back() -> None:
    roster = Roster()
    roster.saw(seen(1))
    before = roster.uuids()
    roster.ended("u1", "crashed")
    assert roster.compare([seen(1)], before) == ([], [])
    assert not roster.knows("u1")


def test_a_machine_younger_than_the_look_is_not_missed_in_it() -> None:
    roster = Roster()
    before = roster.uuids()
    roster.saw(seen(1))
    assert roster.compare([], before) == ([], [])
    assert roster.knows("u1")


def test_what_vanished_unseen_is_found_by_the_look() -> None:
    roster = Roster()
    roster.saw(seen(1))
    roster.saw(seen(2))
    appeared, ended = roster.compare([seen(2), seen(3)], roster.uuids())
    assert appeared == [seen(3)]
    assert [(one.uuid, "gone" in why) for one, why in ended] == [("u1", True)]


def test_a_machine_that_is_off_has_ended() -> None:
    roster = Roster()
    roster.saw(seen(1))
    off = replace(seen(1), running=False, why="crashed")
    assert roster.compare([off], roster.uuids()) == ([], [(seen(1), "crashed")])


def test_a_new_machine_of_the_same_runner_is_another_one() -> None:
    roster = Roster()
    roster.saw(seen(1))
    roster.saw(replace(seen(1), uuid="u9"))
    roster.ended("u1", "destroyed")
    assert roster.uuid_of(1) == "u9"


def test_the_memory_of_what_ended_is_bounded() -> None:
    roster = Roster()
    for number in range(10_000):
        roster.saw(seen(number))
        roster.ended(f"u{number}", "destroyed")
    assert roster.why_ended("u0") is None
    assert roster.why_ended("u9999") == "destroyed"


def test_a_look_that_began_before_an_end_does_not_unsay_why() -> None:
    roster = Roster()
    roster.saw(seen(1))
    before = roster.uuids()
    roster.ended("u1", "shut down from within")
    assert roster.compare([], before) == ([], [])
    assert roster.why_ended("u1") == "shut down from within"
    assert roster.was("u1") == seen(1)


def test_what_ended_before_it_was_seen_is_known_once_it_is() -> None:
    roster = Roster()
    roster.ended("u1", "destroyed")
    assert roster.was("u1") is None
    assert not roster.saw(seen(1))
    assert (roster.was("u1"), roster.why_ended("u1")) == (seen(1), "destroyed")
    assert not roster.knows("u1")
