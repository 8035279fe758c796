"""The plugin: its hooks, and the poll between them.

Two facts shape it. Forgejo (15 and later) lists the jobs that wait and run, and has no queue to
listen to: so this polls, and a job that left the list has ended. And it registers a runner by one
request that answers what the runner signs in with:
https://forgejo.org/docs/next/admin/actions/registration/,
https://aahlenst.dev/blog/autoscaling-forgejo-runner.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import trio

from scaler import (
    Busy,
    Context,
    Finding,
    Registration,
    Runner,
    Secret,
    SettingsError,
    Unavailable,
    hookimpl,
)
from scaler_forgejo import settings
from scaler_forgejo.answers import Listed, Made
from scaler_forgejo.api import Api
from scaler_forgejo.checking import examine
from scaler_forgejo.jobs import Known, deal, known_from, news
from scaler_forgejo.listing import Listing, Told, registrations


class ForgejoSource:
    """Brings the jobs of a Forgejo instance, organisation or repository, and registers runners."""

    api = "1.0"
    Config = settings.Config
    ProfileConfig = settings.ProfileConfig

    def __init__(self, context: Context[settings.Config, settings.ProfileConfig]) -> None:
        self._context = context
        self._api = self._new_api()
        self._listing = Listing(self._api, context.scaler)
        self._told = Told()
        self._labels: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, Known] = {}
        problems = []
        for name, own in context.own.items():
            profile = context.profiles[name]
            if profile.source != context.name:
                continue  # it carries our table, and another source registers its runners
            try:
                self._labels[name] = settings.labels_of(name, own, profile.labels)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise SettingsError(problems)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Poll until the scaler stops."""
        for profile in self._labels:
            self._known[profile] = known_from(await self._context.load(f"cursor/{profile}"))
        async with self._api:
            task_status.started()
            while not self._context.stopping.is_set():
                pause = await self._poll()
                with trio.move_on_after(pause):
                    await self._context.stopping.wait()

    @hookimpl
    async def check(self) -> list[Finding]:
        """Look at the version, the token and its rights, by a connection of its own."""
        async with self._new_api() as api:
            return await examine(api, self._context.config.scope, list(self._labels.values()))

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        """Register a runner; one of the same name is a leftover, and goes first."""
        for leftover in await self._named(runner.name):
            await self._api.remove(leftover.id)
        made = await self._api.register(runner.name, f"made by scaler {self._context.scaler}")
        config = Secret(self._config_of(runner, made))
        return Registration(name=runner.name, ref=str(made.id), config=config)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        """Remove whatever has the runner's name, unless it works.

        Forgejo removes a working runner as well, and its job is lost: it has no request that
        refuses. Between the look and the removal a runner may be given a job; the core asks only
        for runners that it wants no more, so that this is rare.
        """
        named = await self._named(runner.name)
        if any(each.status == "active" for each in named):
            raise Busy(f"{runner.name} is active at Forgejo")
        if not named:
            self._tell(self._told.missing(runner.name))
        else:
            self._told.removing(runner.name)
        for each in named:
            await self._api.remove(each.id)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        """Every runner whose name ends in `@<scaler>`."""
        return list(registrations(await self._listing.look()).values())

    async def _poll(self) -> float:
        """Ask once for runners and jobs; how many seconds to wait then.

        A runner goes when its job ends. That is looked at first and told last: told before the end
        of its job, it would be replaced for that job.
        """
        pause = float(self._context.config.interval)
        try:
            listed = await self._listing.look()
            await self._deliver()
        except Unavailable as error:
            self._context.report(f"Forgejo: {error}", ok=False)
            return max(pause, error.retry_after or 0.0)
        self._tell(self._told.news(listed))
        self._context.report("jobs and runners are as Forgejo says")
        return pause

    async def _deliver(self) -> None:
        """Hand over what is new of each profile; what fails is as new at the next poll."""
        listed = [run for labels in self._labels.values() for run in await self._api.jobs(labels)]
        repository = self._context.config.scope.partition("repos/")[2]
        for profile, runs in deal(listed, self._labels).items():
            known = self._known[profile]
            new = news(profile, runs, known, ident=uuid.uuid4().hex, repository=repository)
            if new is not None:
                message, known = new
                await self._context.deliver(message)
                self._known[profile] = known

    def _tell(self, changed: list[Registration]) -> None:
        for each in changed:
            self._context.registration_changed(each)

    async def _named(self, name: str) -> list[Listed]:
        return [each for each in await self._listing.look() if each.name == name]

    def _config_of(self, runner: Runner, made: Made) -> str:
        """A configuration file for `forgejo-runner one-job --config FILE --wait`.

        It is JSON, so that a machine's boot script can read it without a parser of YAML, and YAML,
        as any JSON is, which Forgejo Runner (12.8 and later) reads.
        """
        own = self._context.own[runner.profile]
        connection: dict[str, Any] = {
            "url": self._context.config.url,
            "uuid": made.uuid,
            "token": made.token,
            "labels": [f"{label}:{own.backend}" for label in self._labels[runner.profile]],
        }
        return json.dumps({"server": {"connections": {"forgejo": connection}}})

    def _new_api(self) -> Api:
        config = self._context.config
        return Api(config.url, config.token, config.scope)
