"""Sweeping one host: machines and images that are of no use, and images that are gone."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt.images import model

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from scaler import Machine
    from scaler_libvirt.images.hosts import ImageVolume
    from scaler_libvirt.images.site import Site

EVERY = 60.0  # seconds between two looks
TWICE = 25.0  # seconds between the two looks that say that an image is gone
HANDED = 900.0  # seconds for which an image that was named to somebody is not deleted
SETTLED = 200.0  # seconds after a start in which libvirt may still do what was asked of it before


class Broom:
    """Sweeps.

    Args:
        site: Where.
        profiles: Whose images are looked at, as they are at the moment; those of others are left
            alone.

    Attributes:
        strays: Of others: by profile, the names of their volumes.
        clean: Whether no machine was left at a look that saw all that a scaler before may have
            asked for.
    """

    def __init__(self, site: Site, profiles: Collection[str]) -> None:
        self._site = site
        self._profiles = profiles
        self._handed: dict[str, float] = {}  # images, and when they were named last
        self._missing: dict[tuple[str, int], float] = {}  # what a look did not show, and since when
        self._settled: float | None = None  # when images may be deleted
        self._looked = -math.inf
        self._kept: set[str] = set()  # what could not be deleted, and was told
        self.strays: dict[str, list[str]] = {}
        self.clean = False

    def hand(self, volume: str) -> None:
        """Somebody is going to make a machine on it."""
        self._handed[volume] = trio.current_time()

    def hurry(self) -> None:
        """There is something to sweep."""
        self._looked = -math.inf

    async def sweep(self) -> None:
        """Look at the host, where it is time to, and sweep. Nothing is being built there.

        Raises:
            Unavailable: It cannot be looked at now; nothing more was done.
        """
        now = trio.current_time()
        if self._settled is None:
            self._settled = now + SETTLED
        if now - self._looked < (TWICE if self._missing else EVERY):
            return
        machines = await self._site.host.left()
        for machine in machines:
            await self._remove(machine)
        found: dict[str, dict[int, str]] = {profile: {} for profile in self._profiles}
        strays: dict[str, list[str]] = {}
        for each in await self._images():
            if each.profile in found:
                found[each.profile][each.number] = each.stamp
            else:
                strays.setdefault(each.profile, []).append(each.name)
        self._tell(strays)
        self._handed = {name: at for name, at in self._handed.items() if now - at < HANDED}
        for profile, stamps in found.items():
            await self._lose(profile, stamps)
            if now >= self._settled:
                for number in model.useless(self._site.state(profile), stamps):
                    await self._prune(profile, number)
        self._looked = now
        self.clean = now >= self._settled and not machines

    async def _images(self) -> Sequence[ImageVolume]:
        try:
            return await self._site.host.images()
        except Unavailable:
            if self._profiles:
                raise
            return ()  # nothing rests on it

    async def _remove(self, machine: Machine) -> None:
        """Leave nothing of a machine; one that cannot be removed keeps nobody from building."""
        try:
            await self._site.host.remove(machine.profile, machine.id)
        except Unavailable:
            raise
        except Exception as error:
            if machine.id not in self._kept:
                self._kept.add(machine.id)
                self._site.context.log.warning(
                    "%s: what is left of machine %s, which built or tried an image of %s, cannot be"
                    " removed: %s",
                    self._site.name,
                    machine.id,
                    machine.profile,
                    error,
                )

    def _tell(self, strays: dict[str, list[str]]) -> None:
        """Tell of images that nobody will ever use or delete."""
        if strays == self.strays:
            return
        self.strays = strays
        for profile, names in strays.items():
            self._site.context.log.warning(
                "%s: the settings build no image of %r (any more), and these are left: %s; where"
                " they are not wanted, delete them with `virsh vol-delete`",
                self._site.name,
                profile,
                ", ".join(names),
            )
        self._site.changed()

    async def _lose(self, profile: str, stamps: dict[int, str]) -> None:
        """Give up images that were written to, and those that two looks do not show.

        One look may be a mistake: somebody mounts the pool anew.
        """
        now, state = trio.current_time(), self._site.state(profile)
        before = {key: at for key, at in self._missing.items() if key[0] == profile}
        since = {
            number: before.get((profile, number), now)
            for number in model.known(state) - stamps.keys()
        }
        gone = {number for number, at in since.items() if now - at >= TWICE}
        spoilt = model.spoilt(state, stamps)
        if gone or spoilt:
            for number in sorted(gone):
                self._site.note(logging.ERROR, profile, number, "someone has deleted it")
            for number in sorted(spoilt):
                text = "someone has written to it: it is not used any more"
                self._site.note(logging.ERROR, profile, number, text)
            lost = gone | spoilt
            await self._site.step(profile, lambda state: model.missing(state, lost))
        for key in before:
            del self._missing[key]
        self._missing |= {
            (profile, number): since[number] for number in since if number not in gone
        }

    async def _prune(self, profile: str, number: int) -> None:
        volume = self._site.volume(profile, number)
        if volume in self._handed:
            return
        try:
            if await self._site.host.in_use(volume):
                return
            await self._site.host.delete_image(volume)
        except Unavailable:
            raise
        except Exception as error:
            if volume not in self._kept:
                self._kept.add(volume)
                text = f"it is of no use, and cannot be deleted: {error}"
                self._site.note(logging.WARNING, profile, number, text)
            return
        self._kept.discard(volume)
        self._site.note(logging.INFO, profile, number, "it is deleted, since nothing needs it")
