"""The hooks of `actions-queue`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import trio

from scaler import Duration, Finding, Registration, SettingsError, Unavailable, hookimpl
from scaler_github.client import GitHubError
from scaler_github.connection import GitHub
from scaler_github.gathered import gathered
from scaler_github.outcomes import outcomes
from scaler_github.patience import HOOK, patience
from scaler_github.places import is_ours, number_in, place_of
from scaler_github.queue import scaleset
from scaler_github.queue.acquiring import Acquirer
from scaler_github.queue.alarms import Alarms
from scaler_github.queue.listener import Listener
from scaler_github.queue.runners import Runners
from scaler_github.queue.state import QueueState
from scaler_github.queue.waits import Pace
from scaler_github.runner import stopped_without_a_job
from scaler_github.setup import ScaleSets, Wanted

if TYPE_CHECKING:
    from scaler import Context, Job, Profile, Runner
    from scaler_github.account import Account, Accounts

POLL_TIMEOUT = Duration(50)
ACQUIRING = 25.0  # seconds: the core waits for 30 s, and then blames the plugin


class ActionsQueue:
    """Brings the jobs of a scale set per profile, and registers their runners.

    Attributes:
        states: How each profile's queue is, by the profile's key.
    """

    api = "1.0"

    @dataclass(frozen=True)
    class Config:
        """`[plugins.actions-queue]`.

        Attributes:
            poll_timeout: How long GitHub may hold a poll back; it is given 30 s more.
        """

        poll_timeout: Duration = POLL_TIMEOUT

    @dataclass(frozen=True)
    class ProfileConfig:
        """`[profiles.X.actions-queue]`.

        Attributes:
            scale_set: The scale set's name, which is also its first label; the profile's key
                where it is left out.
            runner_group: The runner group that it belongs to.
            connection: Which account of `[plugins.github.connections]`; the first where left out.
            adopt: What of that name is there and was not made here is taken over: one with the
                same labels, any, or none.
        """

        scale_set: str = ""
        runner_group: str = "default"
        connection: str = ""
        adopt: Literal["same", "any", "never"] = "same"

    def __init__(self, context: Context[Config, ProfileConfig], pace: Pace | None = None) -> None:
        self._context = context
        self._pace = pace or Pace()
        self._alarms = Alarms(context)
        self._listeners: dict[str, Listener] = {}
        self._acquirers: dict[str, Acquirer] = {}
        self._by_account: dict[str, Runners] = {}
        self.states = {profile: QueueState() for profile in context.own}
        self._check_names()

    def _check_names(self) -> None:
        problems, taken = [], dict[tuple[str, str, str], str]()
        for profile, own in self._context.own.items():
            key = (own.connection, own.runner_group.lower(), self._scale_set(profile).lower())
            if key in taken:
                at = f"profiles.{profile}.{self._context.name}.scale_set"
                problems.append(f"{at}: {key[2]} is the scale set of {taken[key]} already")
            taken.setdefault(key, profile)
        if problems:
            raise SettingsError(problems)

    def _scale_set(self, profile: str) -> str:
        return self._context.own[profile].scale_set or profile

    @property
    def _github(self) -> GitHub:
        try:
            return self._context.plugin(GitHub)
        except LookupError:
            name = self._context.name
            raise SettingsError([f"plugins.{name}: it needs [plugins.github]"]) from None

    @property
    def _accounts(self) -> Accounts:
        accounts = self._github.accounts
        own, name = self._context.own.items(), self._context.name
        accounts.check({f"profiles.{key}.{name}.connection": each.connection for key, each in own})
        return accounts

    def account(self, profile: str) -> Account:
        """The account that a profile's scale set belongs to."""
        return self._accounts[self._context.own[profile].connection]

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Listen for every profile at once."""
        accounts = self._accounts
        self._listeners = {
            profile: Listener(
                self._context,
                profile,
                name=self._scale_set(profile),
                group=own.runner_group,
                scope=accounts[own.connection].scope,
                adopt=own.adopt,
                alarms=self._alarms,
                state=self.states[profile],
                poll_timeout=self._context.config.poll_timeout,
                pace=self._pace,
            )
            for profile, own in self._context.own.items()
        }
        async with trio.open_nursery() as nursery:
            for profile, listener in self._listeners.items():
                account = self.account(profile)
                nursery.start_soon(_listen, listener, account, name=f"listener of {profile}")
            task_status.started()

    @hookimpl
    async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> list[Job]:
        """Acquire jobs with the session's token; those that the answer names are ours."""
        session = self._listener(profile.name).state.session
        if session is None:
            raise Unavailable(f"profile {profile.name} has no session now", 5)
        wanted = {int(job.ref): job for job in jobs if job.ref.isascii() and job.ref.isdigit()}
        if not wanted:
            return []
        try:
            with patience(ACQUIRING, f"acquire jobs of {profile.name}"):
                acquired = await self._acquirer(profile.name).acquire(session, list(wanted))
        except GitHubError as error:
            raise Unavailable(str(error), error.wait or None) from None
        return [job for number, job in wanted.items() if number in acquired]

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        """Register a runner with the profile's scale set."""
        with patience(HOOK, f"register runner {runner.name}"):
            scale_set = await self._listener(runner.profile).scale_set_id()
            async with self.account(runner.profile).open() as account:
                with outcomes:
                    return await self._runners(account).register(scale_set, runner.name)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        """Remove a runner, by its id or by its name.

        One whose machine stopped without a job that anyone told of may have had one all the same:
        then GitHub removes it by itself, within a moment. Its removal by us would hide that.
        """
        with patience(HOOK, f"remove runner {runner.name}"):
            await self._unregister(runner)

    async def _unregister(self, runner: Runner) -> None:
        ref = runner.registration.ref if runner.registration else ""
        for place in place_of(self._accounts, self._context.own.get(runner.profile), runner):
            async with place.open() as account:
                with outcomes:
                    runners = self._runners(account)
                    # (without a number, and by lists, one that is new looks as if it were gone)
                    number = number_in(account, ref) if stopped_without_a_job(runner) else None
                    if number is not None and await self._ended(runners, number):
                        gone = Registration(name=runner.name, ref=ref, gone=True)
                        self._context.registration_changed(gone)
                    else:
                        await runners.remove(runner.name, ref)

    async def _ended(self, runners: Runners, number: int) -> bool:
        """Whether GitHub removes this runner by itself while it is looked at."""
        for pause in self._pace.ended:
            with trio.move_on_after(pause):
                await self._context.stopping.wait()
            if not await runners.is_there(number):
                return True
        return False

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        """All runners of this scaler that GitHub knows, but those of other sources."""
        accounts = self._accounts
        used = {own.connection for own in self._context.own.values()}
        for runner in self._context.view().runners:
            # Those of a profile that has changed its connection, or has left the settings, too
            if runner.source == self._context.name and runner.registration is not None:
                ref = runner.registration.ref
                used |= {one.name for one in accounts if number_in(one, ref) is not None}
        with patience(HOOK, "list runners"):
            return await gathered([partial(self._registrations, accounts[name]) for name in used])

    async def _registrations(self, account: Account) -> list[Registration]:
        async with account.open():
            found = await self._runners(account).registrations(self._context.scaler)
        return [each for each in found if is_ours(self._context, each.name)]

    @hookimpl
    async def check(self) -> list[Finding]:
        """Whether every profile's scale set is there, or can be made."""
        try:
            github = self._github
        except SettingsError as error:
            fix = "Add [plugins.github] with the url of an account and a token."
            return [Finding(ok=False, text=str(error), fix=fix)]
        findings, wanted = list[Finding](), dict[str, list[Wanted]]()
        for profile, own in self._context.own.items():
            if own.connection in github.accounts:
                wanted.setdefault(own.connection, []).append(self._wanted(profile))
            else:
                at = f"profiles.{profile}.{self._context.name}.connection"
                text = f"{at}: {github.accounts.unknown(own.connection)}"
                fix = f"Set {at} to one that is there, or leave it out."
                findings.append(Finding(ok=False, text=text, fix=fix))
        found = dict[str, list[Finding]]()

        async def look(name: str) -> None:
            owner = f"scaler-{self._context.scaler}-check"
            sets = ScaleSets(github.accounts[name], owner, self._listening)
            found[name] = await sets.look(wanted[name])

        async with trio.open_nursery() as nursery:
            for name in wanted:
                nursery.start_soon(look, name, name=f"check by {github.accounts[name]}")
        return [*findings, *(each for name in wanted for each in found[name])]

    def _wanted(self, profile: str) -> Wanted:
        own, name = self._context.own[profile], self._scale_set(profile)
        labels = scaleset.wanted_labels(name, self._context.profiles[profile].labels)
        table = f"profiles.{profile}.{self._context.name}"
        return Wanted(profile, table, name, own.runner_group, labels, own.adopt)

    def _listening(self, profile: str) -> bool | None:
        """Whether a profile's session is open; None while nobody listens at all."""
        return self.states[profile].session is not None if self._listeners else None

    def _acquirer(self, profile: str) -> Acquirer:
        return self._acquirers.setdefault(profile, Acquirer(self._context, profile))

    def _runners(self, account: Account) -> Runners:
        return self._by_account.setdefault(account.name, Runners(account, self._pace.first))

    def _listener(self, profile: str) -> Listener:
        try:
            return self._listeners[profile]
        except KeyError:
            raise Unavailable(f"nobody listens for profile {profile} yet", 5) from None


async def _listen(listener: Listener, account: Account) -> None:
    async with account.open():
        await listener.run(account.actions)
