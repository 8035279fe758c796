"""The runners of one account: registered, listed, reserved and removed there."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler import Registration, RunnerState, Secret, Unavailable
from scaler_github.client import Backoff, GitHubError, Kind, Purpose, repeat
from scaler_github.client.runners import RestRunners, Unusable
from scaler_github.places import is_ours, number_in, to_ref
from scaler_github.registrar import labels
from scaler_github.registrar.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scaler import Context, Runner
    from scaler_github.account import Account
    from scaler_github.client.runners import RestJitConfig, RestRunner
    from scaler_github.registrar.background import Background

WORK_FOLDER = "_work"
# Nobody promises more; users saw an unused configuration die after an hour (actions/runner#4248)
CONFIG_LASTS = 45 * 60.0
# A runner whose machine stopped is looked for so long, in case GitHub removes it by itself
LOOKS = (0.0, 5.0, 5.0)
# GitHub's lists show a new runner after so many seconds at the latest
SHOWN = 120.0
_SHOWN_SOON = 10.0  # until it is looked for again
# Labels that were not put as a whole are gone after so many seconds, unless GitHub is ill
_MENDED = 5.0
_QUICK = 0.25  # the first pause meanwhile
_LATE = 15.0  # seconds until a look whether a call that was not answered took effect after all
# After these nothing was done
_NOT_DONE = {Kind.WAIT, Kind.REFRESH, Kind.CREDENTIAL, Kind.GONE}


class Desk:
    """One account's runners. The account must be open."""

    def __init__(self, context: Context[Any, Any], account: Account, background: Background):
        self.account = account
        self.runners = RestRunners(account.rest, account.scope)
        self.listing = Listing(self._read, self._oldest, background)
        self._context = context
        self._background = background
        # When a runner was asked for without an answer (yet), and how to ask again
        self._unanswered: dict[str, tuple[float, Callable[[], Awaitable[RestJitConfig]]]] = {}
        self._reserved: dict[str, list[str]] = {}  # by name: the labels of those that are

    # Registered and removed

    async def register(self, name: str, group: str, wanted: Sequence[str]) -> Registration:
        """Register a runner and answer its just-in-time configuration."""
        number = await self.runners.group_id(group)
        generate = partial(self.runners.generate_jit_config, name, number, wanted, WORK_FOLDER)
        self._unanswered[name] = trio.current_time(), generate
        try:
            try:
                made = await generate()
            except GitHubError as error:
                if error.kind is not Kind.EXISTS:
                    raise
                # An attempt whose answer was lost: its configuration is unknown, so of no use
                await self._remove_leftover(name)
                made = await generate()
        except GitHubError as error:
            known = error.kind is not Kind.RETRY
            if not known:
                # It exists now, or may exist, and nobody has a configuration for it
                with suppress(GitHubError):  # the core has it removed again, and goes on trying
                    known = await self._remove_useless(name, error)
            if known:
                del self._unanswered[name]
            raise
        del self._unanswered[name]
        self.listing.added(name, made.runner.id)
        return Registration(
            name=name,
            ref=to_ref(self.account, made.runner.id),
            config=Secret(made.encoded_jit_config),
            expires=time.time() + CONFIG_LASTS,
            online=False,
            busy=False,
        )

    async def _remove_leftover(self, name: str) -> None:
        found = await repeat(partial(self.runners.by_name, name))
        if found is None:
            raise Unavailable(f"the name {name} is taken, but GitHub does not show by whom yet")
        if found.busy:
            raise Unavailable(f"the name {name} is taken by a runner that runs a job")
        await repeat(partial(self.runners.delete, found.id))

    async def _remove_useless(self, name: str, error: GitHubError) -> bool:
        """Remove what nobody has a configuration for; whether it was there, and is gone."""
        number = error.number if isinstance(error, Unusable) else None
        if number is None:
            found = await self.runners.by_name(name)
            if found is None or found.busy:
                return False
            number = found.id
        await self.runners.delete(number)
        return True

    async def remove(self, runner: Runner, *, patient: bool = False) -> bool:
        """Remove a runner, by its number where that is known.

        Args:
            patient: Give GitHub some seconds to remove it by itself.

        Returns:
            Whether it was gone by itself.
        """
        self._reserved.pop(runner.name, None)
        gone = patient and await self._goes(runner)
        if not gone:
            number = await self._find(runner) or await self._hidden(runner.name)
            absent = number is None or not await self.runners.delete(number)
            # It was there a moment ago: a call whose answer was lost on the way has removed it
            gone = absent and not patient
        self.listing.removed(runner.name)
        self._unanswered.pop(runner.name, None)
        return gone

    async def _hidden(self, name: str) -> int | None:
        """The number of a runner that no list shows, though it may have been registered.

        New runners are shown late. But their names are taken at once: where the name is free, the
        runner is not there. The one that is registered to see this is the one to be removed.
        """
        since, generate = self._unanswered.get(name, (-math.inf, None))
        if generate is None or trio.current_time() > since + SHOWN:
            return None
        try:
            return (await generate()).runner.id
        except GitHubError as error:
            if isinstance(error, Unusable) and error.number is not None:
                return error.number
            if error.kind is Kind.EXISTS:
                text = f"{name} is registered, but GitHub does not show it yet"
                raise Unavailable(text, _SHOWN_SOON) from None
            if error.kind in {Kind.RETRY, Kind.WAIT, Kind.REFRESH}:
                raise
            return None  # that way nothing can be learnt

    async def _goes(self, runner: Runner) -> bool:
        """Whether it is gone by itself, or is so soon."""
        number = self._number(runner)
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
        return [
            Registration(
                name=each.name,
                ref=to_ref(self.account, each.id),
                online=each.online,
                busy=each.busy,
            )
            for each in await self.listing.runners()
        ]

    async def _read(self) -> dict[str, RestRunner]:
        async with self.account.open():
            every, complete = await self.runners.every()
            found = {each.name: each for each in every if self._is_ours(each.name)}
            if complete:
                return found
            # Other people's runners come and go while pages are turned: ours are asked for apart
            for runner, number in self._here():
                if runner.name not in found:
                    one = await self.runners.get(number, Purpose.ROUTINE)
                    if one is not None:
                        found[one.name] = one
            return found

    def _oldest(self) -> float:
        """How old a list may be now.

        Who should be online by now is given up unless a list shows it: one that was read since.
        """
        oldest, now = float(self.account.settings.api_cache_timeout), time.time()
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
        """Label a runner as reserved; whatever goes wrong, no such label stays on it."""
        number = await self._find(runner)
        if number is None:
            raise Unavailable(f"GitHub knows no runner {runner.name} (any more)")
        self._reserved[runner.name] = wanted
        try:
            await labels.put(self.runners, number, wanted)
        except BaseException as error:
            self._reserved.pop(runner.name, None)
            kind = error.kind if isinstance(error, GitHubError) else None
            if kind is Kind.GONE:
                raise Unavailable(f"GitHub knows no runner {runner.name} any more") from None
            if kind not in _NOT_DONE:
                answered = isinstance(error, GitHubError) and error.verdict.status != 0
                await self._mend(runner.name, number, answered=answered)
            raise

    async def take_back(self, runner: Runner) -> None:
        """Leave no label of a reservation on it."""
        self._reserved.pop(runner.name, None)
        number = await self._find(runner)
        if number is not None:
            await labels.strip(self.runners, number)

    async def _find(self, runner: Runner) -> int | None:
        number = self._number(runner)
        if number is not None:
            return number
        found = await self.runners.by_name(runner.name)
        return found.id if found is not None else None

    async def _mend(self, name: str, number: int, *, answered: bool) -> None:
        """Take back what was put in part: at once, also when the caller is cancelled."""
        mended = False
        with trio.move_on_after(_MENDED, shield=True), suppress(GitHubError):
            strip = partial(labels.strip, self.runners, number)
            await repeat(strip, attempts=4, backoff=Backoff(_QUICK))
            mended = True
        if not mended:
            self._background.start(self._mend_later, name, number, 0.0)
        elif not answered:  # GitHub may still be about to put them
            self._background.start(self._mend_later, name, number, _LATE)

    async def _mend_later(self, name: str, number: int, pause: float) -> None:
        """Go on until it is done; a reservation that was made since is left alone."""
        backoff = Backoff()
        async with self.account.open():
            while True:
                await trio.sleep(pause)
                try:
                    return await labels.strip(self.runners, number, self._reserved.get(name, ()))
                except GitHubError as error:
                    self._context.log.warning("%s may look reserved: %s", name, error)
                    pause = backoff.after(error)
