"""A state as JSON types and back. Pure.

It is read strictly, part by part: where one is damaged the others are still good, and the live
image is the last that anybody would want to lose.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

from scaler_libvirt.images.model import REMEMBERED, Build, Failure, Image, Stage, State

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

VERSION = 1
_LONGEST = 4096  # characters of a text
_NUMBER = 10**15
_OLDER = 1000
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def to_json(state: State) -> dict[str, Any]:
    """What is written down."""
    return {
        "version": VERSION,
        "live": None if state.live is None else _image_json(state.live),
        "older": [_image_json(image) for image in state.older],
        "building": None if state.building is None else _build_json(state.building),
        "failed": None if state.failed is None else _failure_json(state.failed),
        "held": state.held,
        "wanted": state.wanted,
        "next_number": state.next_number,
        "done": list(state.done),
    }


def from_json(saved: Any) -> tuple[State, tuple[str, ...]]:
    """What was written down, and the names of the parts that were not as they are written.

    None is what was never written: an empty state.
    """
    if saved is None:
        return State(), ()
    if not isinstance(saved, dict):
        return State(), ("all of it",)
    bad: list[str] = []

    def part(name: str, read: Callable[[Any], T], missing: T) -> T:
        try:
            return read(saved[name])
        except (KeyError, TypeError, ValueError):
            bad.append(name)
            return missing

    part("version", _version, None)
    live: Image | None = part("live", lambda raw: _or_none(raw, _image), None)
    older: tuple[Image, ...] = part("older", _older, ())
    building: Build | None = part("building", lambda raw: _or_none(raw, _build), None)
    failed: Failure | None = part("failed", lambda raw: _or_none(raw, _failure), None)
    number = part("next_number", _number, 1)
    held, wanted = part("held", _flag, False), part("wanted", _flag, False)
    done: tuple[str, ...] = part("done", _wishes, ())
    if live is None and older and bad:
        live, older = older[0], older[1:]
    used = {image.number for image in (live, *older) if image is not None}
    if building is not None and building.number in used:
        bad.append("building")
        building = None
    begun = [*used, *(each.number for each in (building, failed) if each is not None)]
    state = State(
        live=live,
        older=older,
        building=building,
        failed=failed,
        held=held,
        wanted=wanted,
        next_number=max([number, *(each + 1 for each in begun)]),
        done=done,
    )
    return state, tuple(bad)


def _image_json(image: Image) -> dict[str, Any]:
    return {
        "number": image.number,
        "built": image.built,
        "source": image.source,
        "tried": image.tried,
        "stamp": image.stamp,
    }


def _build_json(build: Build) -> dict[str, Any]:
    return {
        "number": build.number,
        "stage": str(build.stage),
        "uuid": build.uuid,
        "nonce": build.nonce,
        "began": build.began,
        "since": build.since,
        "source": build.source,
        "attempt": build.attempt,
    }


def _failure_json(failure: Failure) -> dict[str, Any]:
    return {
        "number": failure.number,
        "at": failure.at,
        "why": failure.why,
        "count": failure.count,
        "wait": failure.wait,
    }


def _or_none(raw: Any, read: Callable[[Any], T]) -> T | None:
    return None if raw is None else read(raw)


def _image(raw: Any) -> Image:
    return Image(
        number=_number(raw["number"]),
        built=_time(raw["built"]),
        source=_text(raw["source"]),
        tried=_flag(raw["tried"]),
        stamp=_text(raw["stamp"]),
    )


def _build(raw: Any) -> Build:
    uuid = _text(raw["uuid"])
    if not _UUID.fullmatch(uuid):
        raise ValueError("no UUID")
    return Build(
        number=_number(raw["number"]),
        stage=Stage(_text(raw["stage"])),
        uuid=uuid,
        nonce=_text(raw["nonce"]),
        began=_time(raw["began"]),
        since=_time(raw["since"]),
        source=_text(raw["source"]),
        attempt=_number(raw["attempt"]),
    )


def _failure(raw: Any) -> Failure:
    return Failure(
        number=_number(raw["number"]),
        at=_time(raw["at"]),
        why=_text(raw["why"]),
        count=_number(raw["count"]),
        wait=_time(raw["wait"]),
    )


def _older(raw: Any) -> tuple[Image, ...]:
    if not isinstance(raw, list) or len(raw) > _OLDER:
        raise ValueError("no list of images")
    images = tuple(_image(each) for each in raw)
    numbers = [image.number for image in images]
    if numbers != sorted(set(numbers), reverse=True):
        raise ValueError("not the newest first")
    return images


def _wishes(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > REMEMBERED:
        raise ValueError("no list of wishes")
    return tuple(_text(each) for each in raw)


def _version(raw: Any) -> None:
    if raw != VERSION or isinstance(raw, bool):
        raise ValueError("written by another scaler")


def _number(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= _NUMBER:
        raise ValueError("no number")
    return raw


def _time(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise ValueError("no time")
    number = float(raw) if abs(raw) < 1e15 else math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("no time")
    return number


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or len(raw) > _LONGEST:
        raise ValueError("no text")
    return raw


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("neither true nor false")
    return raw
