"""One build, from its first machine to an image that is in use, also over restarts."""

from __future__ import annotations

import logging
import secrets
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import NoRoom, Unavailable
from scaler_libvirt.hosts.base import Base, CannotBeMadeError
from scaler_libvirt.images import evidence, model
from scaler_libvirt.images.model import Fresh, Stage
from scaler_libvirt.images.verdict import Verdict, judge
from scaler_libvirt.images.watch import watch
from scaler_libvirt.machine.identity import new_uuid
from scaler_libvirt.machine.shape import format_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_libvirt.images.hosts import Role
    from scaler_libvirt.images.model import Build, FailureKind, State
    from scaler_libvirt.images.recipe import Recipe
    from scaler_libvirt.images.site import Site

COPYING = 6 * 3600.0  # seconds after which a copy that never comes to its end has failed
LEAST = 20.0  # seconds that a machine is given after a restart of ours, to be seen to have ended
UNSEEN = 120.0  # seconds after which it is given up to learn how a machine ended
_STAGES = {Stage.BUILDING: "build", Stage.COPYING: "copy", Stage.TRYING: "test"}


class Course:
    """Carries builds on one host through their stages; each can be begun anew at any time.

    Args:
        site: Where.
        say: Told why nothing goes on for the moment.
    """

    def __init__(self, site: Site, say: Callable[[str], None]) -> None:
        self._site = site
        self._host = site.host
        self._say = say
        self._ours: set[str] = set()  # UUIDs of machines that nobody but this process made
        self._made: set[str] = set()  # of those that were there, or were made, since the start
        self._ends: dict[str, float] = {}  # until when each may take, on trio's clock

    async def begin(self, recipe: Recipe, why: str) -> None:
        """Write down that a build begins.

        Raises:
            Unavailable: Not now.
        """
        images = await self._host.images()
        seen = [each.number for each in images if each.profile == recipe.profile]
        now, fresh = self._site.wall(), self._fresh()
        state = await self._site.step(
            recipe.profile, lambda state: model.begin(state, now, recipe.source, fresh, seen)
        )
        if state.building is not None:
            number = state.building.number
            self._site.note(logging.INFO, recipe.profile, number, f"it is being built: {why}")

    async def go_on(self, recipe: Recipe, build: Build) -> None:
        """Do what this stage of a build needs, whoever began it.

        Raises:
            Unavailable: Nothing is known of how that went: go on again.
        """
        match build.stage:
            case Stage.BUILDING:
                base = Base(path=build.source, format=format_of(build.source))
                await self._through(recipe, build, "builder", base, recipe.build_timeout)
            case Stage.COPYING:
                await self._copy(recipe, build)
            case Stage.TRYING:
                base = self._site.image(recipe.profile, build.number)
                limit = recipe.smoke_timeout or recipe.build_timeout
                await self._through(recipe, build, "smoke", base, limit)

    async def _through(
        self, recipe: Recipe, build: Build, role: Role, base: Base, limit: float
    ) -> None:
        """Have this machine, see what becomes of it, and take the step that follows."""
        profile, uuid = recipe.profile, build.uuid
        until = self._until(build, limit)
        if not await self._have(recipe, build, role, base, until):
            return
        self._say("")
        seen = await watch(self._site, profile, build, until, proof=role == "smoke")
        if seen.dropped:
            await self.remove(profile, uuid)
        elif seen.asked:
            await self._passed(recipe, build)
        elif seen.ended is not None:
            try:
                log = await self._host.tail(profile, uuid)
            except Unavailable:
                raise
            except Exception as error:  # it would be asked without end
                await self._failed(recipe, build, f"its serial log cannot be read: {error}")
                return
            verdict = judge(role, seen.ended.clean, seen.ended.why, log, build.nonce)
            await self._judged(recipe, build, verdict)
        elif await self._host.running(uuid):
            what = "did not power itself off" if role == "builder" else "did not show that it works"
            await self._failed(recipe, build, f"it {what} within {limit:g} s")
        elif trio.current_time() < until + UNSEEN:
            raise Unavailable("its machine has ended, and it is not known how yet")
        else:
            await self._failed(recipe, build, "it is gone, and nobody saw it end", "cut")

    async def _have(
        self, recipe: Recipe, build: Build, role: Role, base: Base, until: float
    ) -> bool:
        """See that this machine is there, or was; False where that comes to another step."""
        profile, uuid = recipe.profile, build.uuid
        if uuid in self._made:
            return True
        if uuid in self._ours:
            return await self._make(recipe, build, role, base, until)
        # an earlier process may have made it, or may have been killed before
        there = uuid in {machine.id for machine in await self._host.left()}
        if there or await self._has_log(profile, uuid):
            self._made.add(uuid)
            return True
        await self._anew(recipe, build, "scaler ended while its machine was being made")
        return False

    async def _has_log(self, profile: str, uuid: str) -> bool:
        try:
            return bool(await self._host.tail(profile, uuid))
        except Unavailable:
            raise
        except Exception:  # one that cannot be read is there
            return True

    async def _anew(self, recipe: Recipe, build: Build, why: str) -> None:
        """Another machine does this stage from its beginning, but not for ever."""
        if build.attempt >= model.ATTEMPTS:
            await self._failed(recipe, build, why, "cut")
            return
        step = partial(model.anew, now=self._site.wall(), fresh=self._fresh())
        await self._step(recipe, build, step)
        await self.remove(recipe.profile, build.uuid)

    async def _make(
        self, recipe: Recipe, build: Build, role: Role, base: Base, until: float
    ) -> bool:
        try:
            await self._host.make(recipe.profile, role, build.uuid, base, nonce=build.nonce)
        except Unavailable:
            raise
        except NoRoom as error:
            if isinstance(error.__cause__, CannotBeMadeError | ValueError):  # time mends nothing
                await self._failed(
                    recipe, build, f"its machine cannot be made: {error.__cause__}", "make"
                )
                return False
            if trio.current_time() < until:
                raise Unavailable(f"no room for its machine: {error}") from error
            await self._failed(recipe, build, f"there was no room for its machine: {error}")
            return False
        except Exception as error:
            await self._failed(recipe, build, f"its machine cannot be made: {error}", "make")
            return False
        self._made.add(build.uuid)
        return True

    def _until(self, build: Build, limit: float) -> float:
        """Until when it may take, on trio's clock: a step of the wall clock changes nothing.

        After a restart it is what the wall clock says is left, and a moment to be looked at.
        """
        key = f"{build.uuid} {build.stage}"
        if key not in self._ends:
            left = build.since + limit - self._site.wall()
            self._ends[key] = trio.current_time() + min(limit, max(left, LEAST))
        return self._ends[key]

    async def _judged(self, recipe: Recipe, build: Build, verdict: Verdict) -> None:
        if verdict.outcome == "good":
            await self._passed(recipe, build)
        elif verdict.outcome == "bad":
            await self._failed(recipe, build, verdict.why)
        elif build.stage is Stage.TRYING:
            await self._anew(recipe, build, verdict.why)
        else:
            await self._failed(recipe, build, verdict.why, "cut")

    async def _passed(self, recipe: Recipe, build: Build) -> None:
        """Its machine has done its work."""
        self._say("")
        if build.stage is Stage.BUILDING:
            await self._step(recipe, build, partial(model.built, now=self._site.wall()))
        else:
            await self._promote(recipe, build)

    async def _copy(self, recipe: Recipe, build: Build) -> None:
        if trio.current_time() >= self._until(build, COPYING):
            await self._failed(recipe, build, f"it could not be copied in {COPYING:g} s")
            return
        volume = self._site.volume(recipe.profile, build.number)
        try:
            await self._host.flatten(recipe.profile, build.uuid, volume)
        except Unavailable:
            raise
        except Exception as error:
            await self._failed(recipe, build, f"its disk cannot be copied: {error}")
            return
        if recipe.smoke_timeout:
            now = self._site.wall()
            await self._step(recipe, build, partial(model.copied, now=now, fresh=self._fresh()))
            await self.remove(recipe.profile, build.uuid)
        else:
            await self._promote(recipe, build)

    async def _promote(self, recipe: Recipe, build: Build) -> None:
        now, profile = self._site.wall(), recipe.profile
        images = await self._host.images()
        stamps = {each.number: each.stamp for each in images if each.profile == profile}
        if build.number not in stamps:
            await self._failed(recipe, build, "someone deleted the image while it was tried")
            return
        step = partial(
            model.promoted,
            now=now,
            keep=recipe.keep,
            stamp=stamps[build.number],
            untried=build.stage is Stage.COPYING,
        )
        if await self._step(recipe, build, step):
            text = f"it is in use from now on; it took {now - build.began:.0f} s"
            self._site.note(logging.INFO, profile, build.number, text)
            if not self._site.book.failures(profile):
                await evidence.forget(self._site.context, profile, self._site.context.log)
        await self.remove(profile, build.uuid)

    async def _failed(
        self, recipe: Recipe, build: Build, why: str, kind: FailureKind = "build"
    ) -> None:
        """A build has failed: keep what tells why, write it down, and leave nothing of it."""
        site, profile, stage = self._site, recipe.profile, _STAGES[build.stage]
        log, screen = await self._last_seen(profile, build) if kind != "make" else (b"", None)
        facts = {"host": site.name, "image": str(build.number), "stage": stage, "reason": why}
        await evidence.keep(
            site.context, profile, facts=facts, log=log, screen=screen, logger=site.context.log
        )
        told = f"its {stage} failed: {why}"[:2000]
        step = partial(model.failed, now=site.wall(), why=told, kind=kind)
        if await self._step(recipe, build, step):
            site.note(logging.WARNING, profile, build.number, told)
        await self.remove(profile, build.uuid)

    async def _last_seen(self, profile: str, build: Build) -> tuple[bytes, bytes | None]:
        log, screen = b"", None
        try:
            log = await self._host.tail(profile, build.uuid)
            screen = await self._host.screenshot(build.uuid)
        except Exception as error:
            self._site.context.log.debug("nothing more is seen of %s: %s", build.uuid, error)
        return log, screen

    async def _step(self, recipe: Recipe, build: Build, step: Callable[[State], State]) -> bool:
        """Write a step down. False: the build was given up meanwhile, and nothing is done."""

        mine = False

        def checked(state: State) -> State:
            nonlocal mine
            mine = state.building == build
            return step(state) if mine else state

        await self._site.step(recipe.profile, checked)
        return mine

    def _fresh(self) -> Fresh:
        fresh = Fresh(uuid=new_uuid(), nonce=secrets.token_hex(16))
        self._ours.add(fresh.uuid)
        return fresh

    async def remove(self, profile: str, uuid: str) -> None:
        """Leave nothing of a machine; what cannot be removed now is swept later."""
        self._made.discard(uuid)
        self._ours.discard(uuid)
        for key in [key for key in self._ends if key.startswith(uuid)]:
            del self._ends[key]
        try:
            await self._host.remove(profile, uuid)
        except Exception as error:
            self._site.context.log.info(
                "%s: machine %s is removed later: %s", self._site.name, uuid, error
            )
