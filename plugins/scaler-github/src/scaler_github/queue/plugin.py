"""The hooks of `actions-queue`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from scaler import Duration, Finding, SettingsError, Unavailable, hookimpl
from scaler_github.client import GitHubError, Kind, SessionLost
from scaler_github.connection import GitHub
from scaler_github.queue import scaleset
from scaler_github.queue.alarms import Alarms
from scaler_github.queue.listener import Listener
from scaler_github.queue.runners import Runners, outcomes
from scaler_github.queue.waits import Pace

if TYPE_CHECKING:
    from scaler import Context, Job, Profile, Registration, Runner
    from scaler_github.client import Actions

POLL_TIMEOUT = Duration(50)
# What GitHub answers about jobs that cannot be acquired, now or later
_NOT_THESE = {Kind.BUG, Kind.GONE, Kind.CONFLICT, Kind.EXISTS, Kind.BUSY}


class ActionsQueue:
    """Brings the jobs of a scale set per profile, and registers their runners."""

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
        """

        scale_set: str = ""
        runner_group: str = "default"

    def __init__(self, context: Context[Config, ProfileConfig], pace: Pace | None = None) -> None:
        self._context = context
        self._pace = pace or Pace()
        self._alarms = Alarms(context)
        self._listeners: dict[str, Listener] = {}
        self._check_names()

    def _check_names(self) -> None:
        problems, taken = [], dict[tuple[str, str], str]()
        for profile, own in self._context.own.items():
            key = (own.runner_group.lower(), self._scale_set(profile).lower())
            if key in taken:
                at = f"profiles.{profile}.{self._context.name}.scale_set"
                problems.append(f"{at}: {key[1]} is the scale set of {taken[key]} already")
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

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Listen for every profile at once."""
        github = self._github
        self._listeners = {
            profile: Listener(
                self._context,
                profile,
                name=self._scale_set(profile),
                group=own.runner_group,
                web=github.scope.web,
                alarms=self._alarms,
                poll_timeout=self._context.config.poll_timeout,
                pace=self._pace,
            )
            for profile, own in self._context.own.items()
        }
        async with github.actions() as actions, trio.open_nursery() as nursery:
            for profile, listener in self._listeners.items():
                nursery.start_soon(listener.run, actions, name=f"listener of {profile}")
            task_status.started()

    @hookimpl
    async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> list[Job]:
        """Acquire jobs with the session's token; those that the answer names are ours."""
        session = self._listener(profile.name).session
        if session is None:
            raise Unavailable(f"profile {profile.name} has no session now", 5)
        wanted = {int(job.ref): job for job in jobs if job.ref.isascii() and job.ref.isdigit()}
        if not wanted:
            return []
        try:
            acquired = set(await session.acquire_jobs(list(wanted)))
        except GitHubError as error:
            if isinstance(error, SessionLost) or error.kind not in _NOT_THESE:
                raise Unavailable(str(error), error.wait or None) from None
            # They are someone else's by now, or no longer there; the queue tells if they come again
            self._context.log.warning("%s: %s", profile.name, error)
            return []
        return [job for number, job in wanted.items() if number in acquired]

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        """Register a runner with the profile's scale set."""
        scale_set = await self._listener(runner.profile).scale_set_id()
        async with self._github.actions() as actions:
            with outcomes:
                return await self._runners(actions).register(scale_set, runner.name)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        """Remove a runner, by its id or by its name."""
        ref = runner.registration.ref if runner.registration else ""
        async with self._github.actions() as actions:
            with outcomes:
                await self._runners(actions).remove(runner.name, ref)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        """All runners of this scaler that GitHub knows."""
        async with self._github.actions() as actions:
            with outcomes:
                return await self._runners(actions).registrations(self._context.scaler)

    @hookimpl
    async def check(self) -> list[Finding]:
        """Whether every profile's scale set is there, or can be made."""
        try:
            github = self._github
        except SettingsError as error:
            fix = "Add [plugins.github] with the url of an account and a token."
            return [Finding(ok=False, text=str(error), fix=fix)]
        async with github.actions() as actions:
            try:
                await actions.credentials.admin()
            except GitHubError:  # the check of github tells it, and how to mend it
                short = "profile {}: could not be looked up, see github above"
                return [Finding(ok=False, text=short.format(name)) for name in self._context.own]
            return [await self._look(actions, profile) for profile in self._context.own]

    async def _look(self, actions: Actions, profile: str) -> Finding:
        own, name = self._context.own[profile], self._scale_set(profile)
        try:
            group = await scaleset.group_id(actions, own.runner_group)
            found = await actions.find_scale_set(name, group)
        except GitHubError as error:
            text = f"profile {profile}: the scale set {name} could not be looked up: {error}"
            return Finding(ok=False, text=text, fix=self._advice(profile, error))
        if found is None:
            text = f"profile {profile}: the scale set {name} does not exist yet; it will be made"
            return Finding(ok=True, text=text)
        labels = ", ".join(label.name for label in found.labels)
        text = f"profile {profile}: scale set {name} is number {found.id}, with labels {labels}"
        return Finding(ok=True, text=text)

    def _advice(self, profile: str, error: GitHubError) -> str:
        if error.kind is Kind.CREDENTIAL and not error.verdict.status:
            return f"Set profiles.{profile}.{self._context.name}.runner_group."
        return "Try again; if it stays so, ask GitHub, with the number of the request."

    def _runners(self, actions: Actions) -> Runners:
        return Runners(actions, self._pace.first)

    def _listener(self, profile: str) -> Listener:
        try:
            return self._listeners[profile]
        except KeyError:
            raise Unavailable(f"nobody listens for profile {profile} yet", 5) from None
