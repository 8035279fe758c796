"""What is called how on a hypervisor: volumes, images, and a network's entries for hosts.

Every name tells whose it is, so what is left behind is found and swept, and nothing else is. All
are made of `[a-z0-9.-]`, begin with a letter, and are 255 long at most.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

VolumeKind = Literal["disk", "seed", "log", "nvram"]

_PROFILE = r"[a-z0-9][a-z0-9-]{0,49}"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NUMBER = r"[1-9][0-9]{0,18}"
_VOLUME = re.compile(
    rf"scaler-([0-9a-f]{{10}})-(b|{_NUMBER})-({_PROFILE})-({_UUID})\.(disk|seed|log|nvram)(?:(?<=log)\.([0-9]))?",
    re.ASCII,
)
_IMAGE = re.compile(rf"scaler-([0-9a-f]{{10}})-image-({_PROFILE})-({_NUMBER})", re.ASCII)
_ENTRY = re.compile(rf"scaler-([0-9a-f]{{10}})-({_UUID})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume of one machine.

    Attributes:
        kind: Its disk, its seed, the log of its serial line, or the variables of its UEFI.
        runner: Whose machine it is; None for one that makes or tries an image.
        profile: Of which profile.
        uuid: The machine's.
        part: Of a log that grew: the how-many-th older part of it. virtlogd makes them.
    """

    kind: VolumeKind
    runner: int | None
    profile: str
    uuid: str
    part: int | None = None


@dataclass(frozen=True, kw_only=True)
class ImageName:
    """An image of ours: of which profile, and the how-many-th."""

    profile: str
    number: int


@lru_cache(maxsize=64)
def tag_of(scaler: str) -> str:
    """Ten hex digits that stand for a scaler's name in the names of what is its own."""
    return hashlib.sha256(scaler.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def volume_name(tag: str, volume: Volume) -> str:
    """What a machine's volume is called.

    Raises:
        ValueError: A part of it cannot stand in a name.
    """
    runner = "b" if volume.runner is None else volume.runner
    part = "" if volume.part is None else f".{volume.part}"
    name = f"scaler-{tag}-{runner}-{volume.profile}-{volume.uuid}.{volume.kind}{part}"
    if parse_volume(name, tag) != volume:
        raise ValueError(f"{name!r} is no name for a volume")
    return name


def volume_names(tag: str, runner: int | None, profile: str, uuid: str) -> dict[VolumeKind, str]:
    """What all the volumes of a machine are called, by kind."""
    kinds: tuple[VolumeKind, ...] = ("disk", "seed", "log", "nvram")
    return {
        kind: volume_name(tag, Volume(kind=kind, runner=runner, profile=profile, uuid=uuid))
        for kind in kinds
    }


def parse_volume(name: str, tag: str) -> Volume | None:
    """Which machine's volume this is; None where it is none of this scaler's."""
    found = _VOLUME.fullmatch(name)
    if found is None or found[1] != tag:
        return None
    return Volume(
        kind=cast("VolumeKind", found[5]),
        runner=None if found[2] == "b" else int(found[2]),
        profile=found[3],
        uuid=found[4],
        part=None if found[6] is None else int(found[6]),
    )


def image_name(tag: str, profile: str, number: int) -> str:
    """What the number-th image of a profile is called; the first is 1.

    Raises:
        ValueError: A part of it cannot stand in a name.
    """
    name = f"scaler-{tag}-image-{profile}-{number}"
    if parse_image(name, tag) != ImageName(profile=profile, number=number):
        raise ValueError(f"{name!r} is no name for an image")
    return name


def parse_image(name: str, tag: str) -> ImageName | None:
    """Which image this is; None where it is none of this scaler's."""
    found = _IMAGE.fullmatch(name)
    if found is None or found[1] != tag:
        return None
    return ImageName(profile=found[2], number=int(found[3]))


def entry_name(tag: str, uuid: str) -> str:
    """What a machine is called in its network's list of hosts: a DNS label, 63 at most."""
    return f"scaler-{tag}-{uuid}"


def parse_entry(name: str, tag: str) -> str | None:
    """The UUID of the machine that an entry is for; None where it is none of this scaler's."""
    found = _ENTRY.fullmatch(name)
    return found[2] if found is not None and found[1] == tag else None
