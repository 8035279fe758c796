"""The images of one profile on one host: what there is, and each step that it can take. Pure.

What is written down is one `State`. Each step is written down before anything is done about it, so
whoever reads it after a crash knows what may have been begun, and every step can be done again.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

REMEMBERED = 32  # wishes that were carried out, so that none is carried out twice
ATTEMPTS = 3  # machines for one stage, where nobody saw what became of the one before

FIRST_WAIT, LONGEST_WAIT = 600.0, 3600.0  # seconds until the next build after one that failed
FIRST_TRY, LONGEST_TRY = 30.0, 600.0  # where not even its machine could be made, which costs little

_NOT_FROM_HERE = "that step is not one from here"

FailureKind = Literal["build", "make", "cut"]


class Stage(enum.StrEnum):
    """How far a build is."""

    BUILDING = "building"  #: its machine runs, or is to be made
    COPYING = "copying"  #: its disk is being copied into the image
    TRYING = "trying"  #: a machine tries the image


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is good, as far as anyone can tell.

    Attributes:
        number: Grows from one to the next, and is never used twice.
        built: When it was promoted (Unix seconds).
        source: What it was built from.
        tried: Whether a machine has shown that it works.
        stamp: What its volume looked like then; another one says that it was written to. Empty
            where that is not known.
    """

    number: int
    built: float
    source: str
    tried: bool = True
    stamp: str = ""


@dataclass(frozen=True, kw_only=True)
class Build:
    """An image that is being made.

    Attributes:
        uuid: Of the machine that builds, and then of the one that tries.
        nonce: What that machine has to say, to prove that it is this one that says it.
        began: When (Unix seconds).
        since: When this stage began.
        attempt: The how-many-th machine does this stage.
    """

    number: int
    stage: Stage
    uuid: str
    nonce: str
    began: float
    since: float
    source: str
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The last build, where it failed.

    Attributes:
        at: When (Unix seconds).
        count: How many failed in a row.
        wait: Seconds from then until the next may begin.
    """

    number: int
    at: float
    why: str
    count: int = 1
    wait: float = 0.0


@dataclass(frozen=True, kw_only=True)
class State:
    """All that is known of one profile's images on one host.

    Attributes:
        live: What machines are made from.
        older: What was live before, the newest first.
        held: Someone went back to an older one: it stays until they want another.
        wanted: Someone wants another.
        next_number: No image from this number on was ever begun.
        done: The wishes that were carried out last.
    """

    live: Image | None = None
    older: tuple[Image, ...] = ()
    building: Build | None = None
    failed: Failure | None = None
    held: bool = False
    wanted: bool = False
    next_number: int = 1
    done: tuple[str, ...] = ()


class Fresh(NamedTuple):
    """What is known of a machine before it is made."""

    uuid: str
    nonce: str


class CannotGoBackError(Exception):
    """There is no image to go back to; the text says so to people."""


def begin(state: State, now: float, source: str, fresh: Fresh, seen: Iterable[int] = ()) -> State:
    """A build begins.

    Args:
        state: What there is; nothing is being built.
        now: Unix seconds.
        source: What it is built from.
        fresh: The machine that is going to build.
        seen: Numbers of images that are on the host: what was written down may have been lost.
    """
    if state.building is not None:
        raise ValueError(_NOT_FROM_HERE)
    number = max(state.next_number, *(each + 1 for each in seen), 1)
    build = Build(
        number=number,
        stage=Stage.BUILDING,
        uuid=fresh.uuid,
        nonce=fresh.nonce,
        began=now,
        since=now,
        source=source,
    )
    return replace(state, building=build, next_number=number + 1)


def built(state: State, now: float) -> State:
    """The machine that builds has powered itself off, and all was well: its disk is copied."""
    return replace(state, building=_step(state, Stage.BUILDING, Stage.COPYING, now))


def copied(state: State, now: float, fresh: Fresh) -> State:
    """The image is there, and a machine tries it."""
    build = _step(state, Stage.COPYING, Stage.TRYING, now)
    build = replace(build, uuid=fresh.uuid, nonce=fresh.nonce, attempt=1)
    return replace(state, building=build)


def anew(state: State, now: float, fresh: Fresh) -> State:
    """Nobody knows what became of its machine: another one does that stage from its beginning."""
    build = state.building
    if build is None or build.stage is Stage.COPYING:
        raise ValueError(_NOT_FROM_HERE)
    build = replace(build, uuid=fresh.uuid, nonce=fresh.nonce, since=now, attempt=build.attempt + 1)
    return replace(state, building=build)


def promoted(
    state: State, now: float, keep: int, *, stamp: str = "", untried: bool = False
) -> State:
    """The image is the live one from now on.

    Args:
        state: What there is; a machine has tried the image.
        now: Unix seconds.
        keep: How many of those before it are kept.
        stamp: What its volume looks like.
        untried: It is copied, and the settings say that no machine tries it.
    """
    build = state.building
    if build is None or build.stage is not (Stage.COPYING if untried else Stage.TRYING):
        raise ValueError(_NOT_FROM_HERE)
    image = Image(
        number=build.number, built=now, source=build.source, tried=not untried, stamp=stamp
    )
    before = (state.live, *state.older) if state.live is not None else state.older
    older = tuple(each for each in before if each is not None)[:keep]
    return replace(
        state, live=image, older=older, building=None, failed=None, held=False, wanted=False
    )


def failed(state: State, now: float, why: str, kind: FailureKind = "build") -> State:
    """The build has failed. The live image stays.

    Args:
        state: What there is; something is being built.
        now: Unix seconds.
        why: For people.
        kind: `make`: not even its machine could be made. `cut`: it ended while nobody looked, which
            may well be no fault of its own, so the next one begins at once, for the first time.
    """
    build = state.building
    if build is None:
        raise ValueError(_NOT_FROM_HERE)
    count = 1 if state.failed is None else state.failed.count + 1
    first, longest = (FIRST_TRY, LONGEST_TRY) if kind == "make" else (FIRST_WAIT, LONGEST_WAIT)
    wait = min(longest, first * 2 ** min(count - 1, 16))
    if kind == "cut" and count == 1:
        wait = 0.0
    failure = Failure(number=build.number, at=now, why=why, count=count, wait=wait)
    return replace(state, building=None, failed=failure)


def rebuild(state: State, wish: str = "") -> State:
    """Someone wants another image: as soon as possible, and whatever failed before."""
    if wish in state.done:
        return state
    failure = None if state.failed is None else replace(state.failed, wait=0.0)
    done = _done(state, wish)
    return replace(state, wanted=True, held=False, failed=failure, done=done)


def back(state: State, wish: str = "") -> State:
    """Someone wants the image before this one.

    The live one is not kept, and what is being built is given up: both may have what is wrong.

    Raises:
        CannotGoBackError: There is none.
    """
    if wish in state.done:
        return state
    if not state.older:
        raise CannotGoBackError(
            "there is no older image to go back to"
            if state.live is not None
            else "there is no image yet, so none to go back to"
        )
    live, *older = state.older
    return replace(
        state,
        live=live,
        older=tuple(older),
        building=None,
        failed=None,
        held=True,
        wanted=False,
        done=_done(state, wish),
    )


def given_up(state: State) -> State:
    """Nobody wants what is being built, nor knows whether it would have been good."""
    return replace(state, building=None)


def missing(state: State, numbers: Collection[int]) -> State:
    """These images are no good (any more), or gone: the newest of the others is live."""
    images = [state.live, *state.older] if state.live is not None else list(state.older)
    left = [image for image in images if image is not None and image.number not in numbers]
    if len(left) == len(images):
        return state
    return replace(state, live=left[0] if left else None, older=tuple(left[1:]))


def known(state: State) -> set[int]:
    """The numbers of the images that are there for good."""
    images = [image for image in (state.live, *state.older) if image is not None]
    return {image.number for image in images}


def spoilt(state: State, stamps: Mapping[int, str]) -> set[int]:
    """Which images were written to since they were promoted, where that can be told."""
    images = [image for image in (state.live, *state.older) if image is not None]
    return {
        image.number
        for image in images
        if image.stamp and stamps.get(image.number) and stamps[image.number] != image.stamp
    }


def useless(state: State, numbers: Iterable[int]) -> list[int]:
    """Which of the images on the host are good for nothing any more, the oldest first.

    Where there is no live image, what was written down may have been lost: then only what is known
    to be bad is.
    """
    kept = known(state)
    if state.building is not None:
        kept.add(state.building.number)
    found = sorted(set(numbers) - kept)
    if state.live is None:
        bad = state.failed.number if state.failed is not None else 0
        return [number for number in found if number == bad]
    return found


def next_try(state: State, now: float) -> float:
    """When the next build may begin (Unix seconds): never later than its whole wait from now."""
    if state.failed is None:
        return now
    return min(state.failed.at, now) + state.failed.wait


def _done(state: State, wish: str) -> tuple[str, ...]:
    return (*state.done, wish)[-REMEMBERED:] if wish else state.done


def _step(state: State, before: Stage, after: Stage, now: float) -> Build:
    build = state.building
    if build is None or build.stage is not before:
        raise ValueError(_NOT_FROM_HERE)
    return replace(build, stage=after, since=now)
