"""Laws of a profile's images on one host: whatever happens, in whatever order."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scaler_libvirt.images import model
from scaler_libvirt.images.model import Build, Failure, Fresh, Image, Stage, State
from scaler_libvirt.images.saved import from_json, to_json

pytestmark = pytest.mark.once

UUIDS = [f"00000000-0000-4000-8000-{number:012x}" for number in range(1, 4)]
KEEP = 2


def fresh(uuid: str) -> Fresh:
    return Fresh(uuid=uuid, nonce="0123456789abcdef")


class Life(RuleBasedStateMachine):
    """A host with images, a saved state, and everything that can happen to both."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.now = 1000.0
        self.tested: set[int] = set()  # numbers whose builder and whose test went well
        self.on_host: set[int] = set()
        self.used: set[int] = set()
        self.begun: set[int] = set()
        self.wish = 0

    def step(self, after: State) -> None:
        self.state = after
        self.now += 1

    @property
    def stage(self) -> Stage | None:
        return self.state.building.stage if self.state.building else None

    @rule()
    def crash_and_read_again(self) -> None:
        """At any moment: what counts is what was written down."""
        text = json.dumps(to_json(self.state))
        self.state, bad = from_json(json.loads(text))
        assert bad == ()
        assert json.dumps(to_json(self.state)) == text

    @rule(seconds=st.floats(-1e6, 1e6))
    def the_clock_moves(self, seconds: float) -> None:
        self.now = max(0.0, self.now + seconds)

    @precondition(lambda self: self.stage is None)
    @rule(uuid=st.sampled_from(UUIDS))
    def begins(self, uuid: str) -> None:
        self.step(model.begin(self.state, self.now, "/source.img", fresh(uuid), self.on_host))
        assert self.state.building is not None
        number = self.state.building.number
        assert number not in self.begun  # never one number twice: running machines are known by it
        self.begun.add(number)

    @precondition(lambda self: self.stage is Stage.BUILDING)
    @rule()
    def is_built(self) -> None:
        self.step(model.built(self.state, self.now))

    @precondition(lambda self: self.stage is Stage.COPYING)
    @rule(uuid=st.sampled_from(UUIDS))
    def is_copied(self, uuid: str) -> None:
        assert self.state.building is not None
        self.on_host.add(self.state.building.number)
        self.step(model.copied(self.state, self.now, fresh(uuid)))

    @precondition(lambda self: self.stage in (Stage.BUILDING, Stage.TRYING))
    @rule(uuid=st.sampled_from(UUIDS))
    def is_begun_anew(self, uuid: str) -> None:
        self.step(model.anew(self.state, self.now, fresh(uuid)))

    @precondition(lambda self: self.stage is Stage.TRYING)
    @rule()
    def is_promoted(self) -> None:
        assert self.state.building is not None
        self.tested.add(self.state.building.number)
        before = self.state.live
        self.step(model.promoted(self.state, self.now, KEEP))
        assert before is None or before in self.state.older

    @precondition(lambda self: self.stage is not None)
    @rule(kind=st.sampled_from(["build", "make", "cut"]))
    def fails(self, kind: Any) -> None:
        before = self.state
        self.step(model.failed(self.state, self.now, "no reason", kind))
        assert (self.state.live, self.state.older) == (before.live, before.older)

    @rule(again=st.booleans())
    def someone_wants_another(self, again: bool) -> None:
        self.wish += not again
        self.step(model.rebuild(self.state, f"wish-{self.wish}"))
        assert model.rebuild(self.state, f"wish-{self.wish}") == self.state

    @rule(again=st.booleans())
    def someone_goes_back(self, again: bool) -> None:
        self.wish += not again
        before = self.state
        with suppress(model.CannotGoBackError):
            self.step(model.back(self.state, f"wish-{self.wish}"))
            assert model.back(self.state, f"wish-{self.wish}") == self.state
        if before.live is not None:
            assert self.state.live is not None  # never from an image to none

    @rule()
    def machines_are_made(self) -> None:
        if self.state.live is not None:
            self.used.add(self.state.live.number)

    @rule()
    def machines_go(self) -> None:
        self.used.clear()

    @rule()
    def is_pruned(self) -> None:
        doomed = set(model.useless(self.state, self.on_host)) - self.used
        kept = model.known(self.state)
        assert not doomed & kept
        assert self.state.building is None or self.state.building.number not in doomed
        self.on_host -= doomed

    @invariant()
    def every_image_was_built_and_tried_and_is_there(self) -> None:
        assert model.known(self.state) <= self.tested
        assert model.known(self.state) <= self.on_host

    @invariant()
    def images_are_in_order(self) -> None:
        images = [image for image in (self.state.live, *self.state.older) if image is not None]
        numbers = [image.number for image in images]
        assert numbers == sorted(set(numbers), reverse=True)
        assert len(self.state.older) <= KEEP
        assert self.state.live is not None or not self.state.older

    @invariant()
    def the_next_try_is_never_far(self) -> None:
        assert model.next_try(self.state, self.now) - self.now <= model.LONGEST_WAIT


TestLife = Life.TestCase


def image(number: int, **more: Any) -> Image:
    return Image(number=number, built=100.0 * number, source="/source.img", **more)


def building(number: int, stage: Stage = Stage.BUILDING) -> Build:
    return Build(
        number=number,
        stage=stage,
        uuid=UUIDS[0],
        nonce="n",
        began=1.0,
        since=2.0,
        source="/source.img",
    )


FULL = State(
    live=image(5),
    older=(image(4, stamp="4 GiB, yesterday"), image(2, tried=False)),
    building=building(7, Stage.TRYING),
    failed=Failure(number=6, at=10.0, why="it did not build", count=2, wait=1200.0),
    held=True,
    wanted=True,
    next_number=8,
    done=("a", "b"),
)


def test_nothing_is_promoted_before_its_time() -> None:
    state = model.begin(State(live=image(1), next_number=2), 5.0, "/s", fresh(UUIDS[0]))
    for untried in (False, True):
        with pytest.raises(ValueError, match="not one from here"):
            model.promoted(state, 6.0, KEEP, untried=untried)
    copying = model.built(state, 6.0)
    with pytest.raises(ValueError, match="not one from here"):
        model.promoted(copying, 7.0, KEEP)  # nobody tried it
    assert model.promoted(copying, 7.0, KEEP, untried=True).live == Image(
        number=2, built=7.0, source="/s", tried=False
    )
    with pytest.raises(ValueError, match="not one from here"):
        model.promoted(model.copied(copying, 7.0, fresh(UUIDS[1])), 8.0, KEEP, untried=True)


def test_one_build_at_a_time() -> None:
    with pytest.raises(ValueError, match="not one from here"):
        model.begin(FULL, 5.0, "/s", fresh(UUIDS[0]))


def test_waits_grow_from_ten_minutes_to_an_hour() -> None:
    state, waits = State(), []
    for number in range(1, 6):
        state = model.failed(model.begin(state, 10.0, "/s", fresh(UUIDS[0])), 10.0, "no")
        assert state.failed is not None
        assert state.failed.count == number
        waits.append(state.failed.wait)
    assert waits == [600.0, 1200.0, 2400.0, 3600.0, 3600.0]
    assert model.next_try(state, 20.0) == 10.0 + 3600.0
    assert model.next_try(state, 5.0) == 5.0 + 3600.0  # the clock was set back


def test_one_that_was_cut_off_is_begun_again_at_once_but_not_for_ever() -> None:
    state = model.failed(model.begin(State(), 10.0, "/s", fresh(UUIDS[0])), 10.0, "?", "cut")
    assert model.next_try(state, 10.0) == 10.0
    state = model.failed(model.begin(state, 10.0, "/s", fresh(UUIDS[0])), 10.0, "?", "cut")
    assert model.next_try(state, 10.0) == 10.0 + 1200.0


def test_what_costs_nothing_is_tried_sooner() -> None:
    state = model.failed(
        model.begin(State(), 10.0, "/s", fresh(UUIDS[0])), 10.0, "no source", "make"
    )
    assert model.next_try(state, 10.0) == 10.0 + 30.0


def test_a_wish_ends_the_wait_and_what_was_held() -> None:
    state = replace(FULL, building=None)
    after = model.rebuild(state)
    assert (after.wanted, after.held) == (True, False)
    assert model.next_try(after, 11.0) <= 11.0
    assert after.failed is not None
    assert after.failed.why == "it did not build"  # still told


def test_the_way_back_drops_the_bad_image_and_what_is_being_built() -> None:
    after = model.back(FULL, "wish")
    assert after.live == FULL.older[0]
    assert after.older == (image(2, tried=False),)
    assert (after.building, after.held, after.wanted) == (None, True, False)
    assert 5 in model.useless(after, {2, 4, 5, 7})
    assert model.back(after, "wish") == after  # not twice
    last = model.back(after, "another")
    assert last.live == image(2, tried=False)
    with pytest.raises(model.CannotGoBackError, match="no older image"):
        model.back(last, "one more")


def test_a_lost_image_gives_way_to_the_next() -> None:
    assert model.missing(FULL, {5}).live == FULL.older[0]
    assert model.missing(FULL, {4}).live == image(5)
    assert model.missing(FULL, {4}).older == (image(2, tried=False),)
    assert model.missing(FULL, {2, 4, 5}).live is None
    assert model.missing(FULL, {6, 7}) == FULL


def test_an_image_that_was_written_to_is_known_by_its_stamp() -> None:
    same = {5: "anything", 4: "4 GiB, yesterday", 2: ""}
    assert model.spoilt(FULL, same) == set()
    assert model.spoilt(FULL, same | {4: "4 GiB, today"}) == {4}
    assert model.spoilt(FULL, {5: "x", 2: "y", 9: "z"}) == set()  # not known, or not there


def test_without_a_live_image_only_what_is_known_as_bad_is_useless() -> None:
    assert model.useless(State(), {1, 2}) == []  # the ledger may have been lost
    assert model.useless(model.begin(State(), 1.0, "/s", fresh(UUIDS[0]), {1, 2}), {1, 2, 3}) == []
    failed = model.failed(model.begin(State(), 1.0, "/s", fresh(UUIDS[0]), {1, 2}), 2.0, "no")
    assert model.useless(failed, {1, 2, 3}) == [3]
    assert model.useless(FULL, {1, 2, 3, 4, 5, 6, 7}) == [1, 3, 6]


def test_a_full_state_is_read_as_it_was_written() -> None:
    assert from_json(json.loads(json.dumps(to_json(FULL)))) == (FULL, ())
    assert from_json(None) == (State(), ())


PARTS = list(to_json(FULL))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*PARTS, "number", "uuid", "at"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(part=st.sampled_from(PARTS), junk=JUNK)
def test_damage_in_one_part_leaves_the_others(part: str, junk: Any) -> None:
    state, bad = from_json(to_json(FULL) | {part: junk})
    assert set(bad) <= {part, "building"}
    if part not in ("live", "older"):
        assert (state.live, state.older) == (FULL.live, FULL.older)
    elif part == "live":
        assert state.live in (FULL.older[0], None) or "live" not in bad
    assert state.next_number > max(model.known(state), default=0)


@given(junk=JUNK)
def test_no_damage_stops_the_start(junk: Any) -> None:
    state, _ = from_json(junk)
    assert from_json(to_json(state)) == (state, ())


@pytest.mark.parametrize("inner", ["number", "built", "source", "tried", "stamp"])
@pytest.mark.parametrize("junk", [None, -1, True, "x" * 5000, [], 1e300, float("nan")])
def test_an_image_is_read_strictly(inner: str, junk: Any) -> None:
    saved = to_json(FULL)
    if inner == "tried" and junk is True:
        return
    saved["live"] = saved["live"] | {inner: junk}
    state, bad = from_json(saved)
    assert bad == ("live",)
    assert state.live == FULL.older[0]
