"""Asking plugins what is well around them: once for `scaler check`, and beside a start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from scaler.errors import HookFault, Outcome
from scaler.hooks import SPEC
from scaler.model.rooms import ROOMS_TOLD, Free
from scaler.records import Finding, RoomState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.dispatch import Dispatcher
    from scaler.records import Profile, Room

log = logging.getLogger("scaler.checks")

CHECK = SPEC.check.__name__
AGAIN = 60.0  # seconds until a plugin that saw something wrong is asked again, doubling
LONGEST = 600.0  # seconds
QUIET = 1.0  # seconds that asking may take without a word, and between two words

#: Told who has not answered yet; nobody at the end.
Progress = Callable[[Collection[str]], None]


async def survey(
    hooks: Dispatcher, profiles: Mapping[str, Profile], progress: Progress
) -> list[tuple[str, Finding]]:
    """Ask every plugin at once, and look whether every profile's machine fits somewhere."""
    asked = hooks.implementers(SPEC.check)
    waiting = dict.fromkeys(asked)
    found: dict[str, list[Finding]] = {}

    async def ask(plugin: str) -> None:
        try:
            found[plugin] = await hooks.route(plugin, None, SPEC.check)
        except (HookFault, Outcome) as error:
            found[plugin] = [Finding(ok=False, text=f"its check failed: {error}")]
        del waiting[plugin]

    async def tell() -> None:
        while True:
            await trio.sleep(QUIET)
            progress(tuple(waiting) or ("rooms",))

    async with trio.open_nursery() as telling:
        telling.start_soon(tell, name="progress")
        async with trio.open_nursery() as nursery:
            for plugin in asked:
                nursery.start_soon(ask, plugin, name=f"{plugin}.{CHECK}")
        rooms = await hooks.gather(SPEC.capacity)
        telling.cancel_scope.cancel()
    progress(())
    findings = [(plugin, each) for plugin in asked for each in found[plugin]]
    return findings + too_large(profiles, rooms.answers)


def too_large(
    profiles: Mapping[str, Profile], rooms: Mapping[str, list[Room]]
) -> list[tuple[str, Finding]]:
    """A finding for each profile whose machine is larger than every room, empty as it may be."""
    findings = []
    for name, profile in profiles.items():
        told = [room for each in profile.provisioners for room in rooms.get(each, [])]
        lacks = [
            Free("", replace(room, state=RoomState.UP)).lacks(profile.resources) for room in told
        ]
        if told and all(lacks) and all(each in rooms for each in profile.provisioners):
            text = f"no room is large enough for one machine: {'; '.join(lacks[:ROOMS_TOLD])}"
            fix = "lower its resources, or give a room more"
            findings.append((f"profile {name}", Finding(ok=False, text=text, fix=fix)))
    return findings


class Checks:
    """Every plugin's `check`, beside a scaler that runs. Nobody waits for it.

    A plugin that sees something wrong, or cannot look, is shown as degraded and asked again, alone,
    until all is well. One that saw nothing wrong is not asked any more.

    Args:
        hooks: Calls the plugins; it shows and logs a check that fails as such.
        failed: Told of the plugin that sees something wrong, and what.
        recovered: Told of the plugin that saw nothing wrong any more.
        stopping: When set, nothing more is asked.
        hide: Puts `***` in place of secrets.
    """

    def __init__(
        self,
        hooks: Dispatcher,
        failed: Callable[[str, str], None],
        recovered: Callable[[str], None],
        stopping: trio.Event,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._hooks = hooks
        self._failed = failed
        self._recovered = recovered
        self._stopping = stopping
        self._hide = hide
        self._again = trio.Event()

    def again(self) -> None:
        """Ask those at once that saw something wrong: it may be mended now."""
        self._again.set()
        self._again = trio.Event()

    async def run(self) -> None:
        """Ask; return when all is well, or when scaler stops."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask_all, nursery.cancel_scope, name="ask all")
            await self._stopping.wait()
            nursery.cancel_scope.cancel()

    async def _ask_all(self, done: trio.CancelScope) -> None:
        async with trio.open_nursery() as nursery:
            for plugin in self._hooks.implementers(SPEC.check):
                nursery.start_soon(self._mind, plugin, name=f"check of {plugin}")
        done.cancel()

    async def _mind(self, plugin: str) -> None:
        """Ask one plugin until nothing required is wrong."""
        told: set[str] = set()
        wait, well = AGAIN, True
        while not await self._once(plugin, told):
            well = False
            with trio.move_on_after(wait) as pause:
                await self._again.wait()
            wait = min(LONGEST, wait * 2) if pause.cancelled_caught else AGAIN
        if not well:
            self._recovered(plugin)
            log.info("%s: what its check missed is there now", plugin, extra={"plugin": plugin})

    async def _once(self, plugin: str, told: set[str]) -> bool:
        """Ask once; whether nothing required is wrong. What is in `told` was logged before."""
        await self._hooks.ready(plugin)
        try:
            findings = await self._hooks.route(plugin, None, SPEC.check)
        except HookFault:
            return False  # shown and logged where it was called
        except Outcome as error:
            findings = [Finding(ok=False, text=f"it could not look: {error}")]
        missed = [each for each in findings if not each.ok and each.need != "unseen"]
        for finding in missed:
            line = self._hide(_line(finding))
            if line not in told:
                told.add(line)
                log.warning("%s: %s", plugin, line, extra={"plugin": plugin, "hook": CHECK})
        wrong = [_line(finding) for finding in missed if finding.need == "required"]
        if wrong:
            self._failed(plugin, self._hide("; ".join(wrong)))
        return not wrong


def _line(finding: Finding) -> str:
    return f"{finding.text} → {finding.fix}" if finding.fix else finding.text
