"""How a profile's images are on a host, in words and for programs. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scaler_libvirt.images import model
from scaler_libvirt.images.model import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler_libvirt.images.model import Image, State
    from scaler_libvirt.images.recipe import Recipe

_STAGES = {
    Stage.BUILDING: "is being built",
    Stage.COPYING: "is being copied",
    Stage.TRYING: "is being tried",
}


def row(
    host: str, state: State, recipe: Recipe, *, waits: str, volumes: Mapping[int, str], now: float
) -> dict[str, Any]:
    """For programs: plain types."""
    build, failure = state.building, state.failed

    def image(each: Image) -> dict[str, Any]:
        return {
            "number": each.number,
            "volume": volumes.get(each.number, ""),
            "built": each.built,
            "source": each.source,
            "tried": each.tried,
        }

    return {
        "host": host,
        "profile": recipe.profile,
        "source": recipe.source,
        "live": None if state.live is None else image(state.live),
        "older": [image(each) for each in state.older],
        "building": None
        if build is None
        else {
            "number": build.number,
            "stage": str(build.stage),
            "began": build.began,
            "machine": build.uuid,
        },
        "failed": None
        if failure is None
        else {
            "number": failure.number,
            "at": failure.at,
            "why": failure.why,
            "in_a_row": failure.count,
            "next": model.next_try(state, now),
        },
        "held": state.held,
        "wanted": state.wanted,
        "waits": waits,
        "ok": well(state),
        "text": line(state, waits=waits, now=now),
    }


def stray(host: str, profile: str, volumes: Sequence[str]) -> dict[str, Any]:
    """For programs: images of a profile that has none built any more."""
    return {
        "host": host,
        "profile": profile,
        "volumes": list(volumes),
        "ok": True,
        "text": f"not built any more; left in the pool: {', '.join(volumes)}",
    }


def refusal(state: State, *, waits: str, now: float) -> str:
    """Why no machine of the profile can be made on the host; empty where one can."""
    if state.live is not None:
        return ""
    build = state.building
    if build is not None:
        text = f"its image {_STAGES[build.stage]}, since {clock(build.began, now)}"
        return f"{text}; {waits}" if waits else text
    return _ending("it has no image yet", state, waits, now)


def line(state: State, *, waits: str, now: float) -> str:
    """How it is, for people, to be read after the host's name."""
    if state.live is None:
        return refusal(state, waits=waits, now=now)
    parts = [f"image {state.live.number} of {clock(state.live.built, now)}"]
    if state.held:
        parts.append("someone went back to it, so it stays until another is asked for")
    if state.building is not None:
        build = state.building
        parts.append(
            f"image {build.number} {_STAGES[build.stage]}, since {clock(build.began, now)}"
        )
        if waits:
            parts.append(waits)
    return _ending("; ".join(parts), state, waits, now)


def well(state: State) -> bool:
    """Whether nothing is to be mended: there is an image, or the first is on its way."""
    return state.failed is None and (state.live is not None or state.building is not None)


def _ending(text: str, state: State, waits: str, now: float) -> str:
    failure = state.failed
    if failure is not None:
        text += f"; image {failure.number} at {clock(failure.at, now)}: {failure.why}"
        until = model.next_try(state, now)
        if state.building is None and not waits and until > now:
            text += f"; next try at {clock(until, now)}"
    if waits and state.building is None:
        text += f"; the next one waits: {waits}"
    return text


def clock(when: float, now: float) -> str:
    """A time of day, with its date where that is not today."""
    try:
        then, today = time.localtime(when), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return "some time"
    same = then[:3] == today[:3]
    return time.strftime("%H:%M" if same else "%Y-%m-%d %H:%M", then)
