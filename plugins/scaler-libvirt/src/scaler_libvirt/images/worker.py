"""One host's images: decides what is built there, one at a time, and has it done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt.images.broom import Broom
from scaler_libvirt.images.course import Course
from scaler_libvirt.images.decide import Decision, Facts, cause, decide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_libvirt.hosts.base import Base
    from scaler_libvirt.images.model import Build
    from scaler_libvirt.images.recipe import Recipe
    from scaler_libvirt.images.site import Site

AGAIN = 10.0  # seconds until what could not be asked or made is tried again
LOOK = 30.0  # seconds until everything is decided anew, whatever happens
LEAST = 0.1  # seconds between two decisions


class Worker:
    """Looks after one host's images.

    Args:
        site: Where.
        total: What may be used of it in all.
        recipes: Of every profile whose image is built, as they are at the moment.

    Attributes:
        total: See above.
        decision: The last one: why what is due is not built.
        trouble: Why nothing goes on at the moment; empty where it does.
    """

    def __init__(
        self, site: Site, *, total: Mapping[str, int], recipes: Mapping[str, Recipe]
    ) -> None:
        self.decision = Decision()
        self.trouble = ""
        self._site = site
        self.total = total
        self._recipes = recipes
        self._course = Course(site, self._say)
        self._broom = Broom(site, recipes)
        self._odd = ""  # the last unforeseen one, which was logged
        self._poke = trio.Event()
        self._since: dict[str, float] = {}  # since when each profile's build waits for room

    def poke(self) -> None:
        """Something has happened: decide anew."""
        self._poke.set()

    def base(self, profile: str) -> Base | None:
        """What a runner's disk stands on; None where there is no image."""
        live = self._site.state(profile).live
        if live is None:
            return None
        base = self._site.image(profile, live.number)
        self._broom.hand(base.path)
        return base

    def volume(self, profile: str, number: int) -> str:
        """What an image is called on the host."""
        return self._site.volume(profile, number)

    @property
    def strays(self) -> Mapping[str, list[str]]:
        """Images of profiles that have no recipe (any more): the names of their volumes."""
        return self._broom.strays

    def reserved(self) -> Mapping[str, int]:
        """What a build takes of the host, or waits for and comes before runners."""
        if self.building is not None:
            return self._recipes[self.building[0]].resources
        return self.decision.claims

    @property
    def building(self) -> tuple[str, Build] | None:
        """What is being built, and whose image; None where nothing is."""
        for profile, state in self._site.book.of(self._site.name).items():
            if state.building is not None and profile in self._recipes:
                return profile, state.building
        return None

    async def run(self) -> None:
        """Go on until cancelled; without recipes, there is only what an earlier scaler left."""
        while True:
            self._poke = trio.Event()
            if not self._recipes and self._broom.clean:
                await self._poke.wait()
                continue
            try:
                pause = await self._turn()
            except Unavailable as error:
                self._say(str(error))
                pause = AGAIN
            except Exception as error:  # the other hosts, and their runners, go on
                text = f"something unforeseen: {error}"
                if text != self._odd:
                    self._odd = text
                    self._site.context.log.exception("images on %s: %s", self._site.name, text)
                self._say(text)
                pause = AGAIN
            with trio.move_on_after(pause):
                await self._poke.wait()

    async def _turn(self) -> float:
        """Do the next thing; answer how long there is nothing more to do."""
        if not self._site.host.up:
            self._say("it is down")
            return LOOK
        if self.building is not None:
            profile, build = self.building
            await self._course.go_on(self._recipes[profile], build)
            if self._site.state(profile).building is None:
                self._broom.hurry()
            return 0
        await self._broom.sweep()
        decision = self._decide()
        if decision.build:
            recipe = self._recipes[decision.build]
            why = cause(self._site.state(recipe.profile), recipe, self._site.wall())
            await self._course.begin(recipe, why)
            self._say("")
            return 0
        self._say("")
        wake = LOOK if decision.wake is None else decision.wake - self._site.wall()
        return min(max(wake, LEAST), LOOK)

    def _decide(self) -> Decision:
        site = self._site
        trouble = "it is draining" if site.host.draining else ""
        if site.context.stopping.is_set():
            trouble = "scaler is stopping"
        now = site.wall()
        facts = Facts(
            now=now, trouble=trouble, total=self.total, free=site.host.free(), since=self._since
        )
        decision = decide(site.book.of(site.name), self._recipes, facts)
        self._since = {name: self._since.get(name, now) for name in decision.no_room}
        if decision != self.decision:
            self.decision = decision
            site.changed()
        return decision

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._site.changed()
