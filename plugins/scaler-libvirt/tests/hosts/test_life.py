"""Machines that stand still."""

from __future__ import annotations

from scaler_libvirt.hosts.life import AGAIN, GIVEN_UP, Due, Standstills


def test_without_space_it_is_helped_on_again_and_again_and_given_up_at_last() -> None:
    standstills = Standstills()
    assert standstills.set("a", "space", 0)
    assert not standstills.set("a", "space", 5)
    helped = 0
    given_up: list[str] = []
    for now in range(int(GIVEN_UP) + 60):
        due = standstills.due(now)
        helped += due.resume == ("a",)
        given_up += due.given_up
        if due.resume:  # it goes on, and has no space at once again
            assert standstills.set("a", "", now)
            assert standstills.set("a", "space", now)
    assert given_up == ["a"]
    assert helped >= 19  # every 30 s of 10 min


def test_one_that_had_space_for_a_while_begins_anew() -> None:
    standstills = Standstills()
    standstills.set("a", "space", 0)
    standstills.set("a", "", GIVEN_UP - 1)
    standstills.set("a", "space", GIVEN_UP - 1 + AGAIN)
    assert standstills.due(GIVEN_UP + AGAIN).given_up == ()


def test_one_that_goes_on_is_left_alone() -> None:
    standstills = Standstills()
    standstills.set("a", "space", 0)
    assert standstills.set("a", "", 10)
    assert not standstills.set("a", "", 11)
    assert standstills.due(10_000) == Due()
    assert standstills.why("a") == ""


def test_one_that_a_person_paused_is_left_alone_for_ever() -> None:
    standstills = Standstills()
    standstills.set("a", "person", 0)
    assert standstills.due(1_000_000) == Due()
    assert standstills.why("a") == "person"


def test_one_that_was_given_up_does_not_come_back() -> None:
    standstills = Standstills()
    standstills.set("a", "space", 0)
    assert standstills.due(GIVEN_UP).given_up == ("a",)
    assert not standstills.set("a", "", GIVEN_UP + 1)
    assert standstills.given_up("a")
    assert standstills.due(GIVEN_UP * 2) == Due()
    standstills.gone("a")
    assert not standstills.given_up("a")
