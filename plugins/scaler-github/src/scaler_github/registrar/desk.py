"""The runners of one account: registered, listed, reserved and removed there."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler import Registration, RunnerState, Unavailable
from scaler_github.client import GitHubError, Kind, Purpose, repeat
from scaler_github.client.runners import RestRunners, Unusable
from scaler_github.places import is_ours, number_in, to_ref
from scaler_github.registrar import labels
from scaler_github.registrar.listing import Listing
from scaler_github.registrar.reserving import Reserving
from scaler_github.runner import LOOKS, WORK_FOLDER, issued
from scaler_github.unanswered import Unanswered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Context, Runner
    from scaler_github.account import Account
    from scaler_github.client.runners import RestJitConfig, RestRunner
    from scaler_github.registrar.background import Background

_LOOKED = 25.0  # seconds for all looks whether a runner goes by itself: it must be removed, too


class Desk:
    """One account's runners. The account must be open."""

    def __init__(self, context: Context[Any, Any], account: Account, background: Background):
        self.account = account
        self.runners = RestRunners(account.rest, account.scope)
        self.listing = Listing(self._read, self._kept, self._oldest, background)
        self._context = context
        self._reserving = Reserving(context, account, self.runners, background)
        self._unanswered: Unanswered[RestJitConfig] = Unanswered()
        self._swept = False

    # Registered and removed

    async def register(self, name: str, group: str, wanted: Sequence[str]) -> Registration:
        """Register a runner and answer its just-in-time configuration."""
        number = await self.runners.group_id(group)
        generate = partial(self.runners.generate_jit_config, name, number, wanted, WORK_FOLDER)
        try:
            try:
                made = await self._unanswered.ask(name, generate)
            except GitHubError as error:
                if error.kind is not Kind.EXISTS:
                    raise
                # An attempt whose answer was lost: its configuration is unknown, so of no use
                await self._remove_leftover(name)
                made = await self._unanswered.ask(name, generate)
        except GitHubError as error:
            if error.kind is Kind.RETRY:
                # It exists now, or may exist, and nobody has a configuration for it
                known = error.number if isinstance(error, Unusable) else None
                with suppress(GitHubError):  # the core has it removed again, and goes on trying
                    await self._remove_useless(name, known)
            raise
        self.listing.added(name, made.runner.id)
        return issued(self.account, name, made.runner.id, made.encoded_jit_config)

    async def _remove_leftover(self, name: str) -> None:
        found = await repeat(partial(self.runners.by_name, name))
        if found is None:
            raise Unavailable(f"the name {name} is taken, but GitHub does not show by whom yet")
        if found.busy:
            raise Unavailable(f"the name {name} is taken by a runner that runs a job")
        await repeat(partial(self.runners.delete, found.id))
        self._unanswered.forget(name)

    async def _remove_useless(self, name: str, number: int | None) -> None:
        """Remove what nobody has a configuration for, if it is shown and runs no job."""
        if number is None:
            found = await self.runners.by_name(name)
            if found is None or found.busy:
                return
            number = found.id
        await self.runners.delete(number)
        self._unanswered.forget(name)

    async def remove(self, runner: Runner, *, patient: bool = False) -> bool:
        """Remove a runner, by its number where that is known.

        Args:
            patient: Give GitHub some seconds to remove it by itself.

        Returns:
            Whether it was gone by itself.
        """
        self._reserving.forget(runner.name)
        gone = patient and await self._goes(runner)
        if not gone:
            number = await self._find(runner) or await self._not_shown(runner.name)
            absent = number is None or not await self.runners.delete(number)
            # It was there a moment ago: a call whose answer was lost on the way has removed it
            gone = absent and not patient
        self.listing.removed(runner.name)
        self._unanswered.forget(runner.name)
        return gone

    async def _not_shown(self, name: str) -> int | None:
        try:
            return await self._unanswered.number(name)
        except GitHubError as error:
            if error.kind is not Kind.CREDENTIAL:
                raise
            # Perhaps its runner group may not be used any more: removing must not wait for that
            return None

    async def _goes(self, runner: Runner) -> bool:
        """Whether it is gone by itself, or is so soon, as far as GitHub tells in time."""
        number = self._number(runner)
        with trio.move_on_after(_LOOKED):
            for pause in LOOKS:
                await trio.sleep(pause)
                if number is not None:  # certain, also while lists do not show it yet
                    found = await self.runners.get(number)
                else:
                    found = await self.runners.by_name(runner.name)
                if found is None:
                    return True
        return False

    # Listed

    async def registrations(self) -> list[Registration]:
        """The runners of this scaler, but those of other sources."""
        found = await self.listing.runners()
        self._sweep(found)
        return [
            Registration(
                name=each.name,
                ref=to_ref(self.account, each.id),
                online=each.online,
                busy=each.busy,
            )
            for each in found
        ]

    def _sweep(self, found: list[RestRunner]) -> None:
        """After a start: nobody else takes the labels back that a crash has left."""
        if self._swept:
            return
        self._swept = True
        rows = {runner.name: runner for runner in self._context.view().runners}
        for each in found:
            row = rows.get(each.name)
            free = row is not None and row.state is RunnerState.IDLE and row.reservation is None
            if free and not each.busy and labels.reserved(each.label_names):
                self._reserving.strip(each.name, each.id)

    async def _read(self) -> dict[str, RestRunner]:
        async with self.account.open():
            every, complete = await self.runners.every(self._is_ours)
            found = {each.name: each for each in every}
            if complete:
                return found
            # Other people's runners come and go while pages are turned: ours are asked for apart
            for runner, number in self._here():
                if runner.name not in found:
                    one = await self.runners.get(number, Purpose.ROUTINE)
                    if one is not None:
                        found[one.name] = one
            return found

    def _kept(self) -> float:
        return float(self.account.settings.api_cache_timeout)

    def _oldest(self) -> float:
        """How old a list may be now.

        Who should be online by now is given up unless a list shows it: one that was begun since.
        """
        oldest, now = math.inf, time.time()
        for runner, _ in self._here():
            profile = self._context.profiles.get(runner.profile)
            if runner.state is RunnerState.BOOTING and profile is not None:
                late = now - runner.since - profile.start_timeout
                if late >= 0:
                    oldest = min(oldest, late)
        return oldest

    def _here(self) -> list[tuple[Runner, int]]:
        """The runners that the core knows of as registered here, with their numbers."""
        return [
            (runner, number)
            for runner in self._context.view().runners
            if runner.source == self._context.name and (number := self._number(runner)) is not None
        ]

    def _is_ours(self, name: str) -> bool:
        scaler = name.rpartition("@")[2] if "@" in name else None
        return scaler == self._context.scaler and is_ours(self._context, name)

    def _number(self, runner: Runner) -> int | None:
        return number_in(self.account, runner.registration.ref) if runner.registration else None

    # Reserved

    async def reserve(self, runner: Runner, wanted: list[str]) -> None:
        """Label a runner as reserved; what an error leaves on it is to be taken back."""
        await self._reserving.put(runner.name, wanted, partial(self._find, runner))

    async def take_back(self, runner: Runner) -> None:
        """Leave no label of a reservation on it.

        Raises:
            GitHubError: BUSY: it runs a job, and keeps them. Otherwise some may be there.
        """
        await self._reserving.take_back(runner.name, partial(self._find, runner))

    async def _find(self, runner: Runner) -> int | None:
        number = self._number(runner)
        if number is not None:
            return number
        found = await self.runners.by_name(runner.name)
        return found.id if found is not None else None
