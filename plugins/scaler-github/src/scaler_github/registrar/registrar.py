"""The hooks of a source, for runners that are registered by REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from scaler import Busy, Message, Refused, Registration, RunnerState, SettingsError, Unavailable
from scaler_github.client import GitHubError, Kind
from scaler_github.gathered import gathered
from scaler_github.outcomes import outcomes
from scaler_github.patience import HOOK, patience
from scaler_github.places import number_in, place_of
from scaler_github.registrar import labels
from scaler_github.registrar.background import Background
from scaler_github.registrar.desk import Desk
from scaler_github.runner import stopped_without_a_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scaler import Context, Reservation, Runner
    from scaler_github.account import Account, Accounts

_RESERVED = 9.0  # seconds for a reservation: the core waits for 10
_LONGEST = 30.0  # seconds until what could not be announced is announced again, at most


class Registrar:
    """Registers, lists, reserves and removes.

    Raises:
        SettingsError: A profile's label would be taken for a reservation's.
    """

    def __init__(self, context: Context[Any, Any], accounts: Callable[[], Accounts]) -> None:
        self._context = context
        self._now = accounts
        problems = [
            problem
            for profile in self._profiles()
            for problem in labels.check(
                f"profiles.{profile}.labels", context.profiles[profile].labels
            )
        ]
        if problems:
            raise SettingsError(problems)
        self._background = Background(context.log)
        self._desks: dict[str, Desk] = {}
        self._announcing: trio.Nursery | None = None

    async def run(self) -> None:
        """Run what outlives a hook's call, until cancelled.

        And tell the core that no jobs are known of: there is no queue here.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._background.run)
            self._announcing = nursery
            try:
                self.announce(self._profiles())
                await trio.sleep_forever()
            finally:
                self._announcing = None

    def announce(self, profiles: Iterable[str]) -> None:
        """Tell the core of these, while `run` runs; it begins with all that there are."""
        if self._announcing is not None:
            for profile in set(profiles).intersection(self._profiles()):
                self._announcing.start_soon(self._announce, profile)

    async def ended(self) -> None:
        """Wait, for a few seconds at most, until what must not be broken off has ended."""
        await self._background.ended()

    async def _announce(self, profile: str) -> None:
        pause = 1.0
        while True:
            try:
                return await self._context.deliver(
                    Message(id="", profile=profile, demand=0, waiting=0)
                )
            except LookupError:
                return None  # the settings have it no more
            except Unavailable as error:
                await trio.sleep(max(pause, error.retry_after or 0.0))
                pause = min(_LONGEST, pause * 2)

    def _profiles(self) -> list[str]:
        """Those whose runners are registered here."""
        name, profiles = self._context.name, self._context.profiles
        return [key for key in self._context.own if profiles[key].source == name]

    async def register(self, runner: Runner) -> Registration:
        """Register a runner.

        Raises:
            Unavailable: It is not, or is not known to be, and the next one has another name.
        """
        own = self._context.own[runner.profile]
        wanted = labels.of_profile(self._context.profiles[runner.profile].labels)
        desk = self._desk(self._accounts[own.connection])
        with patience(HOOK, f"register runner {runner.name}"), outcomes:
            async with desk.account.open():
                return await desk.register(runner.name, own.runner_group, wanted)

    async def unregister(self, runner: Runner) -> None:
        """Remove a runner, wherever it may be.

        Where its machine stopped without a job that was told of, GitHub may have removed it since
        that job is over; this is told to the core.

        Raises:
            Busy: It runs a job.
            Unavailable: It may be there.
        """
        jobless = stopped_without_a_job(runner)
        busy = runner.registration is not None and bool(runner.registration.busy)
        places = self._places(runner)
        gone = []
        with patience(HOOK, f"remove runner {runner.name}"), outcomes:
            for account in places:
                async with account.open():
                    # One that was busy had its job: nothing to be learnt by waiting
                    desk = self._desk(account)
                    gone.append(await desk.remove(runner, patient=jobless and not busy))
        if jobless and gone and all(gone):
            self._context.registration_changed(Registration(name=runner.name, gone=True))

    async def registrations(self) -> list[Registration]:
        """Every runner of this scaler that is registered by REST.

        Raises:
            Incomplete: Some account could not be asked.
        """
        with patience(HOOK, "list runners"):
            return await gathered([desk.registrations for desk in self._used()])

    async def reserve(self, runner: Runner, reservation: Reservation | None) -> None:
        """Reserve a runner, or take it back.

        Raises:
            Busy: It runs a job.
            Refused: GitHub does not accept the labels.
            Unavailable: It is not reserved.
        """
        places = self._places(runner)
        if not places and reservation is not None:
            raise Unavailable(f"{runner.name} is registered nowhere")
        with patience(_RESERVED, f"label runner {runner.name}"), outcomes:
            for account in places[:1]:
                async with account.open():
                    if reservation is None:
                        await self._desk(account).take_back(runner)
                    else:
                        await self._reserve(self._desk(account), runner, reservation)

    async def _reserve(self, desk: Desk, runner: Runner, reservation: Reservation) -> None:
        told = runner.registration is not None and runner.registration.busy
        works = runner.state is RunnerState.BUSY or bool(runner.job)
        if told or works or desk.listing.is_busy(runner.name):
            raise Busy(f"{runner.name} runs a job")
        try:
            await desk.reserve(runner, labels.of_reservation(reservation))
        except GitHubError as error:
            if error.kind is not Kind.BUG:
                raise
            # What is in the labels was not our choice: no fault of the plugin
            raise Refused("labels-refused", str(error)) from None

    def _places(self, runner: Runner) -> list[Account]:
        return place_of(self._accounts, self._context.own.get(runner.profile), runner)

    def _used(self) -> list[Desk]:
        """The accounts that profiles use, and those where runners are left."""
        names = {self._context.own[key].connection for key in self._profiles()}
        for runner in self._context.view().runners:
            if runner.source == self._context.name and runner.registration is not None:
                ref = runner.registration.ref
                names |= {one.name for one in self._accounts if number_in(one, ref) is not None}
        return [self._desk(each) for each in self._accounts if each.name in names]

    @property
    def _accounts(self) -> Accounts:
        return self._now()

    def _desk(self, account: Account) -> Desk:
        if account.name not in self._desks:
            self._desks[account.name] = Desk(self._context, account, self._background)
        return self._desks[account.name]
