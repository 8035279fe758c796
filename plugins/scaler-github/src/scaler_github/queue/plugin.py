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
from scaler_github.queue.lines import Line, Lines, Terms
from scaler_github.queue.moving import Leaving, told
from scaler_github.queue.runners import Runners
from scaler_github.queue.waits import Pace
from scaler_github.runner import stopped_without_a_job
from scaler_github.setup import ScaleSets, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler import Context, Job, Profile, Runner, SettingsChange
    from scaler_github.account import Account, Accounts

POLL_TIMEOUT = Duration(50)
ACQUIRING = 25.0  # seconds: the core waits for 30 s, and then blames the plugin


class ActionsQueue:
    """Brings the jobs of a scale set per profile, and registers their runners."""

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
        self._lines = Lines(context, self._alarms, self._pace)
        self._acquirers: dict[str, Acquirer] = {}
        self._by_account: dict[str, Runners] = {}
        self._started = False
        self._changing = trio.Lock()  # of who listens for what
        self._leaving = Leaving(context, self._alarms, self._pace)
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
        return self._github.accounts

    @property
    def lines(self) -> Lines:
        """The listeners, and how each profile's queue is."""
        return self._lines

    def account(self, profile: str) -> Account:
        """The account that a profile's scale set belongs to."""
        return self._line(profile).account

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Listen for every profile at once."""
        if not self._started:
            self.validate()
        self._started = True
        wanted = self._wanted_lines(self._context.own)
        self._lines.set_poll_timeout(float(self._context.config.poll_timeout))
        await self._lines.run(wanted, task_status)

    def validate(self) -> None:
        """See that every profile's connection is there. Nothing is asked of GitHub.

        Raises:
            SettingsError: Some are not.
        """
        if problems := self._unknown(self._context.own):
            raise SettingsError(problems)

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Listen for the profiles that are new, and anew for those that are otherwise now.

        One whose scale set is another one goes there once nothing is assigned where it was.
        """
        lines = self._lines
        lines.set_poll_timeout(float(self._context.config.poll_timeout))
        named = [name for name in (*change.added, *change.changed) if name in self._context.own]
        async with self._changing:
            wanted = self._wanted_lines(named)
            for profile, (terms, _) in list(wanted.items()):
                line = lines.get(profile)
                if line is not None and terms.place != line.terms.place:
                    del wanted[profile]
                    self._move(profile, line)
                elif line is not None and terms == line.terms and not line.closed:
                    del wanted[profile]
            async with trio.open_nursery() as nursery:
                for profile in {*change.removed, *wanted}:
                    if profile in lines:
                        self._acquirers.pop(profile, None)
                    nursery.start_soon(lines.leave, profile)
            for profile, (terms, account) in wanted.items():
                lines.join(profile, terms, account)
        told = [text for profile in lines if (text := self._waits_for(profile, lines[profile]))]
        waiting = lines.waiting().items()
        return told + [f"profiles.{each}.{self._context.name}: {why}" for each, why in waiting]

    def _move(self, profile: str, line: Line) -> None:
        """Have a profile go to its new scale set, once nothing is assigned at its old one."""
        if not line.closed:
            line.close()
            self._lines.beside(self._moved(profile, line))

    async def _moved(self, profile: str, line: Line) -> None:
        while self._lines.get(profile) is line:
            await self._leaving.until_empty(profile, line)
            async with self._changing:
                if line.over.is_set():
                    return  # it has left, or came back, while it was waited for
                own = [profile] if profile in self._context.own else []
                for terms, account in self._wanted_lines(own).values():
                    self._acquirers.pop(profile, None)
                    await self._lines.leave(profile)
                    self._lines.join(profile, terms, account)
        await self._leaving.clear(profile, line, self._runners(line.account))

    def _waits_for(self, profile: str, line: Line) -> str:
        """Why a profile's new scale set does not count yet; empty where it does, or soon will."""
        owed = self._leaving.owed(profile, line) if line.closed else 0
        if owed == 0:
            return ""
        return f"profiles.{profile}.{self._context.name}: {told(line, owed)}"

    def _unknown(self, profiles: Iterable[str]) -> list[str]:
        """What is wrong with the connections of these."""
        own, accounts = self._context.own, self._accounts
        return [
            f"profiles.{each}.{self._context.name}.connection:"
            f" {accounts.unknown(own[each].connection)}"
            for each in profiles
            if own[each].connection not in accounts
        ]

    def _wanted_lines(self, profiles: Iterable[str]) -> dict[str, tuple[Terms, Account]]:
        """How to listen for profiles; without those that have no account, which are told of."""
        accounts = self._accounts
        wanted: dict[str, tuple[Terms, Account]] = {}
        for profile in profiles:
            own, name = self._context.own[profile], self._scale_set(profile)
            if own.connection not in accounts:
                text = f"connection: {accounts.unknown(own.connection)}"
                self._context.report(text, ok=False, profile=profile)
                continue
            labels = scaleset.wanted_labels(name, self._context.profiles[profile].labels)
            terms = Terms(name, own.runner_group, own.adopt, tuple(labels), own.connection)
            wanted[profile] = terms, accounts[own.connection]
        return wanted

    @hookimpl
    async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> list[Job]:
        """Acquire jobs with the session's token; those that the answer names are ours."""
        line = self._line(profile.name)
        if line.closed:
            return []  # it is to have no more of that scale set's jobs
        session = line.listener.state.session
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
            line = self._line(runner.profile)
            scale_set = await line.listener.scale_set_id()
            async with line.account.open() as account:
                with outcomes:
                    made = await self._runners(account).register(scale_set, runner.name)
        if self._line(runner.profile).terms.place != line.terms.place:
            raise Unavailable(f"profile {runner.profile} has another scale set meanwhile")
        return made

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
        accounts, own = self._accounts, self._context.own.get(runner.profile)
        if own is not None and own.connection not in accounts:
            own = None
        for place in place_of(accounts, own, runner):
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
        used = {self._lines[profile].account.name for profile in self._lines}
        used |= {own.connection for own in self._context.own.values() if own.connection in accounts}
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
        if not self._lines:
            return None
        state = self._lines.states.get(profile)
        return state is not None and state.session is not None

    def _acquirer(self, profile: str) -> Acquirer:
        return self._acquirers.setdefault(profile, Acquirer(self._context, profile))

    def _runners(self, account: Account) -> Runners:
        return self._by_account.setdefault(account.name, Runners(account, self._pace.first))

    def _line(self, profile: str) -> Line:
        try:
            return self._lines[profile]
        except KeyError:
            raise Unavailable(f"nobody listens for profile {profile} yet", 5) from None
