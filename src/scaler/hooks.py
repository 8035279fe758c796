"""Every hook, with its contract. This module is what plugins and the core agree on.

A plugin implements a hook by a method of the same name, marked `@hookimpl`, that takes any of the
hook's arguments by name (fewer is fine: arguments can be added later without breaking anyone), as
`async def` or as a plain function; plain functions run in a worker thread, one at a time per
plugin. An `async def` shares the thread of the whole scaler: it awaits whatever takes long, and
does what blocks in `trio.to_thread`. Arguments with defaults, keyword-only arguments, wrappers,
`tryfirst` and `trylast` are refused when the plugin is loaded.

Kinds of delivery:

- **own**: one long-running call, started and restarted by the core.
- **tell**: delivered to each plugin in order, from a mailbox of its own; nobody waits for it.
- **vote**: all plugins at once; each may object.
- **ask**: one plugin after another in the settings' order; the first answer wins; an error is a no.
- **gather**: all plugins at once; each answer or failure is kept under the plugin's name, and a
  failure is "unknown", never "empty".
- **route**: exactly the plugin that the runner's ledger row names, or that it is about.

Expected outcomes are exceptions: `Busy`, `Gone`, `NoRoom`, `Refused`, `Unavailable`, and for a list
of which a part could not be asked `Incomplete`, with what is known all the same. Anything else, a
wrong type, or a missed deadline is a fault; after five in a row the core leaves that hook of that
plugin alone for 60 s (all but `on_settings_changed` and `unregister_runner` and `destroy_runner`,
of which it repeats the last two for ever, each runner with a backoff of its own). Past its deadline
a call's outcome is unknown, and the core compensates: the call is cancelled, has 10 s to end, and
is left behind if it goes on. The core alone retries.
"""

from __future__ import annotations

import enum
import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from scaler import records
from scaler.api import DEPRECATED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import trio

    from scaler.api import Deprecation
    from scaler.records import (
        Decline,
        Finding,
        Job,
        Machine,
        Message,
        Panel,
        Profile,
        Registration,
        Reservation,
        Room,
        Runner,
        Selection,
        SelectionRequest,
        SettingsChange,
        View,
    )

F = TypeVar("F", bound="Callable[..., Any]")

PROJECT = "scaler"
hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


class Kind(enum.StrEnum):
    """How a hook is delivered; see the module's text."""

    OWN = "own"
    TELL = "tell"
    VOTE = "vote"
    ASK = "ask"
    GATHER = "gather"
    ROUTE = "route"


@dataclass(frozen=True)
class Contract:
    """A hook's machine-readable part: its kind, its deadline in seconds, and what it may answer.

    Attributes:
        answers: The type of an answer; with `many`, of each item of the list that is the answer.
        none: Whether None is an answer.
    """

    kind: Kind
    deadline: float
    answers: type | None = None
    many: bool = False
    none: bool = True


def _hook(
    kind: Kind,
    deadline: float,
    answers: type | None = None,
    *,
    many: bool = False,
    none: bool = True,
    deprecated: Mapping[str, Deprecation] = DEPRECATED,
) -> Callable[[F], F]:
    def mark(function: F) -> F:
        function.contract = Contract(kind, deadline, answers, many, none)  # type: ignore[attr-defined]
        name = f"Spec.{function.__name__}"
        row = deprecated.get(name)
        arguments = {
            argument: deprecated[f"{name}.{argument}"].says(f"{name}.{argument}")
            for argument in inspect.signature(function).parameters
            if f"{name}.{argument}" in deprecated
        }
        return _hookspec(
            function,
            warn_on_impl=row.says(name) if row else None,
            warn_on_impl_args=arguments or None,
        )

    return mark


class Spec:
    """The hooks. Never instantiated by plugins; `SPEC` is what the dispatcher is called with."""

    @_hook(Kind.OWN, 30)
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Long work of the plugin's own: a poll loop, a server, an event stream.

        Called once at start, after the ledger is open. Open a nursery inside for tasks. Call
        `task_status.started()` when the plugin's other hooks can be called (within 30 s; the other
        side being down is no reason to wait: report it and keep trying). Until then the plugin's
        other hooks count as unavailable.

        Returning ends the service for good. An error restarts it after 1 s, doubling to 60 s, and
        shows the plugin as degraded meanwhile; `Unavailable` is told in one line, anything else
        with its traceback. When `context.stopping` is set, finish what is in hand and return within
        the settings' `shutdown_grace`; then it is cancelled.

        Args:
            task_status: Its `started()` says that the plugin's other hooks can be called.

        Returns:
            Nothing. The plugin's other hooks go on being called after that.

        Raises:
            Unavailable: The other side cannot be used now: it is started again, told in one line.
            FatalError: scaler cannot run like this: it ends, and a person reads the text.

        Example:
            @hookimpl
            async def run_service(self, task_status):
                task_status.started()
                while not self.context.stopping.is_set():
                    await self.poll_once()
        """

    @_hook(Kind.GATHER, 30, records.Finding, many=True, none=False)
    async def check(self) -> list[Finding]:
        """What is well and what is wrong with this plugin's surroundings.

        Called by `scaler check`, where no service runs, and at every start, beside the services:
        change nothing, and touch nothing that they use or wait for. Each `Finding` that is not ok
        says how to mend it, and by `need` what follows.

        `scaler check` shows an error as a finding. At a start nobody waits for the answer; a plugin
        with a `required` finding that is not ok, or whose check fails, is shown as degraded and
        asked again 60 s later, then after twice as long each time, up to 10 minutes, and whenever
        settings were read anew, until all that is required is well. What is `useful` is only
        logged.

        Returns:
            What was seen, what is well included; an empty list has nothing to tell.

        Example:
            @hookimpl
            async def check(self):
                return [Finding(ok=True, text="token is valid until 3 May")]
        """

    @_hook(Kind.ROUTE, 30, str, many=True, none=False)
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """The settings were read anew: go by the new ones from now on. Optional.

        Called on each plugin whose own table, whose own table of a profile, or a profile of which
        has changed, one plugin after another in the settings' order. `context.config`,
        `context.own` and `context.profiles` are the new ones already: what is looked up there each
        time needs nothing more, and what was made of them is made anew here. No machine is asked of
        this plugin for a profile that was `added` before this returns, and none at all for one that
        is new to all. A profile that the settings no longer have
        stays in the context, with a ceiling of 0, until its last runner and its last job are gone;
        only then it is `removed`.

        It is too late to refuse here: settings that cannot be are refused by `Config`,
        `ProfileConfig`, the constructor, or `validate(self) -> None`, which a plugin may have: it
        is called once all plugins are built, so that `context.plugin` answers its siblings, does no
        input or output, and may raise SettingsError. With the new settings each plugin is built
        and validated once more, in vain, before anything changes, in a thread and with a context
        that leads to such siblings alone; if that raises, everything stays as it was, and people
        are told why. An error here, or a missed
        deadline, changes nothing back: that the plugin may go by its old settings is shown until a
        reload goes well.

        It is called as well while the plugin's service has not started or has failed (which is
        started again at once then), and never twice at the same time. A plugin without it keeps its
        `config` and its `own`: people are told that it needs a restart.

        Args:
            change: What of this plugin's is another than before. A profile may be `removed` and
                `added` in one.

        Returns:
            All of its settings as they are now that counts only after a restart, each as `key path:
            why`; mostly nothing. It takes the place of what was answered before. Where the path is
            `profiles.NAME` or that of the plugin's own table of it, the profile as a whole waits:
            the hook is called every few seconds then, with a change of nothing, until it answers
            otherwise, and a new profile whose source says so gets no runner before. What counts by
            itself as soon as something is mended, such as a file that is refused, ends in
            `, without a restart`: people are told that, and not to restart.

        Example:
            @hookimpl
            async def on_settings_changed(self, change):
                if change.config:
                    self.interval = float(self.context.config.interval)
                for profile in (*change.removed, *change.changed):
                    await self.queue.leave(profile)
                for profile in (*change.added, *change.changed):
                    await self.queue.join(profile, self.context.own[profile])
                return []
        """

    @_hook(Kind.TELL, 10)
    async def on_message(self, message: Message) -> None:
        """A source delivered this message. It may come twice.

        For observers: told before the message has any effect; answers and errors are ignored.

        Args:
            message: As the source delivered it.

        Example:
            @hookimpl
            async def on_message(self, message):
                self.context.log.info("%s: %d jobs", message.id, len(message.jobs))
        """

    @_hook(Kind.VOTE, 5, records.Decline)
    async def on_job_available(self, job: Job) -> Decline | None:
        """A job was seen for the first time. Answer a `Decline` to object, None otherwise.

        Called once per job, with `job.state` `offered` (an objection keeps it from being acquired)
        or `assigned` already (then an objection is logged and shown, no more). An error or a missed
        deadline is no objection: this is not a security gate.

        Args:
            job: As the source tells of it, with the profile that it belongs to.

        Returns:
            The objection, its reason for people; None where there is none.

        Example:
            @hookimpl
            async def on_job_available(self, job):
                if job.repository == "acme/frozen":
                    return Decline(reason="acme/frozen is frozen")
        """

    @_hook(Kind.TELL, 10)
    async def on_job_changed(self, job: Job, before: Job | None) -> None:
        """A job took a step; `before` is None when it is new. Answers and errors are ignored.

        Args:
            job: As it is now.
            before: As it was; None where it is new.

        Example:
            @hookimpl
            async def on_job_changed(self, job, before):
                if job.state == "done":
                    self.finished += 1
        """

    @_hook(Kind.ROUTE, 30, records.Job, many=True, none=False)
    async def acquire_jobs(self, profile: Profile, jobs: list[Job]) -> list[Job]:
        """Acquire these offered jobs for the profile; answer those that are really ours now.

        Called on the profile's source, from within `deliver` or later when there is room. An error
        leaves them offered; they are tried again. Those that are left out of the answer are
        forgotten. A source whose jobs are never offered leaves this hook out.

        Args:
            profile: Whose jobs they are.
            jobs: Offered ones, no more than there is room for now.

        Returns:
            Those of them that are ours; they count as assigned from then on.

        Example:
            @hookimpl
            async def acquire_jobs(self, profile, jobs):
                return await self.queue.acquire(jobs)
        """

    @_hook(Kind.ROUTE, 60, records.Registration, none=False)
    async def register_runner(self, runner: Runner) -> Registration:
        """Register `runner.name` with the other side; answer its ref and its config.

        Called on the profile's source, once per runner, after the runner is in the ledger. A name
        that exists already is a leftover of an attempt whose answer was lost: resolve it here. Any
        error, or a missed deadline, retires this runner (so `unregister_runner` follows), and
        another one with a new id is planned.

        Args:
            runner: In its state `planned`: a name, an id and a profile, and nothing made yet.

        Returns:
            Its `name`, the source's own `ref` to it, the `config` that its machine needs to join,
            and when that `expires`, where known.

        Example:
            @hookimpl
            async def register_runner(self, runner):
                made = await self.api.register(runner.name)
                config = Secret(made.config)
                return Registration(name=runner.name, ref=str(made.id), config=config)
        """

    @_hook(Kind.ROUTE, 60)
    async def unregister_runner(self, runner: Runner) -> None:
        """Make the registration gone; a registration that never was is gone too.

        Called on the runner's source before its machine is destroyed, again and again until it
        returns. `runner.registration` may be None: it must work from `runner.name` alone.

        Where the other side had removed it by itself, as it does when a runner's one job is over,
        say so before returning: `context.registration_changed(Registration(name=runner.name,
        gone=True))`. It is optional. A runner whose machine stopped without a job that anyone told
        of has had its job then, and is no failed start. Never say so of what this call removed.

        Args:
            runner: Its `registration` is None where an answer was lost.

        Returns:
            Nothing: having returned, it says that the registration is gone.

        Raises:
            Busy: The runner is running a job: its machine is left alone.

        Example:
            @hookimpl
            async def unregister_runner(self, runner):
                await self.api.remove(runner.name)
        """

    @_hook(Kind.GATHER, 60, records.Registration, many=True, none=False)
    async def list_registrations(self) -> list[Registration]:
        """Every registration named `*@<scaler name>`, with `online` and `busy`: complete, or raise.

        Called at start and on every tick. A registration counts as gone when it is absent from two
        complete lists, 30 s apart.

        Returns:
            All of them. An empty list says that there is none, and is believed.

        Raises:
            Incomplete: A part could not be asked; with those that are known.

        Example:
            @hookimpl
            async def list_registrations(self):
                return [self.registration(r) async for r in self.api.runners()]
        """

    @_hook(Kind.ROUTE, 10)
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        """Make what workflows see of this runner equal to the reservation; None takes it back.

        Called on the runner's source. Optional: without it, the profile cannot be reserved. All
        runners of one reservation are asked for at once, after the rows say so. Whatever an error
        left visible, the core follows it up with None, again and again until that returns; so it
        does when a reservation was not used in time. Meanwhile the runner is promised to nobody
        else; after 60 s in vain it is replaced.

        Args:
            runner: With the registration that it is about.
            reservation: For whom it is kept; None: for nobody any more.

        Returns:
            Nothing: having returned, it says that workflows see just that.

        Raises:
            Busy: It runs a job already: another takes its place, or (None) it keeps what it shows.
            Gone: It does not exist any more: another takes its place, and it is retired.
            Unavailable: Not now; with `retry_after`, the profile's runners are left alone so long.
            Refused: What the reservation says cannot be shown.

        Example:
            @hookimpl
            async def reserve_runner(self, runner, reservation):
                await self.api.label(runner.registration.ref, reservation)
        """

    @_hook(Kind.ROUTE, math.inf, records.Machine, none=False)
    async def provision_runner(self, runner: Runner, registration: Registration) -> Machine:
        """Make the runner's machine in `runner.room`; answer it once it exists (not: is online).

        Called on the runner's provisioner after the registration is in the ledger. Tag the machine
        with the scaler's name, `runner.id` and `runner.name`. Asked twice for the same `runner.id`
        there is still one machine. The deadline is the profile's `start_timeout`. Any error, or a
        missed deadline, retires this runner (so `destroy_runner` follows), and another is planned.

        Args:
            runner: In `runner.room`, of `runner.resources`, by the settings of `runner.profile`.
            registration: As `register_runner` answered it, its `config` included.

        Returns:
            The machine: the id of its `runner`, the provisioner's own `id`, its `room`; `delivered`
            where the config is in it already.

        Raises:
            NoRoom: The room cannot take it after all.

        Example:
            @hookimpl
            async def provision_runner(self, runner, registration):
                tag = f"{self.context.scaler}/{runner.id}"
                uuid = await self.hypervisor.find(tag)
                if uuid is None:  # asked twice, there is still one
                    config = registration.config.reveal()
                    uuid = await self.hypervisor.create(tag, runner.name, config)
                return Machine(runner=runner.id, id=uuid, room=runner.room)
        """

    @_hook(Kind.ROUTE, 120)
    async def destroy_runner(self, runner: Runner) -> None:
        """Leave nothing of the runner's machine; a machine that never was is gone too.

        Called on the runner's provisioner after its registration is gone, again and again until it
        returns. `runner.machine` may be None: it must work from `runner.id` alone, and must touch
        nothing that is not tagged with this scaler's name.

        Where `runner.failed`, what the machine leaves is worth a look: keep it by `Context.keep`
        first, but do not wait for it for more than a few seconds. A machine that is held is not
        destroyed; one that stopped and is held, or waits for its job's result, keeps its disk and
        stays listed, as `stopped`.

        Args:
            runner: Its `machine` is None where an answer was lost, or it never had one.

        Returns:
            Nothing: having returned, it says that nothing is left.

        Example:
            @hookimpl
            async def destroy_runner(self, runner):
                if uuid := await self.hypervisor.find(f"{self.context.scaler}/{runner.id}"):
                    await self.hypervisor.destroy(uuid)
        """

    @_hook(Kind.GATHER, 60, records.Machine, many=True, none=False)
    async def list_machines(self) -> list[Machine]:
        """Everything tagged with this scaler's name, builders too: complete, or raise.

        Called at start and on every tick. A machine counts as gone when it is absent from two
        complete lists, 30 s apart.

        Returns:
            All of them, each as its tag says: those that have stopped, too, until they are
            destroyed, and builders (`runner` is None). An empty list says that there is none, and
            is believed.

        Raises:
            Incomplete: A part could not be asked; with those that are known.

        Example:
            @hookimpl
            async def list_machines(self):
                domains = await self.hypervisor.domains()  # raises where it cannot tell all
                return [self.machine(d) for d in domains if d.scaler == self.context.scaler]
        """

    @_hook(Kind.GATHER, 10, records.Room, many=True, none=False)
    async def capacity(self) -> list[Room]:
        """The provisioner's rooms: what may be used in all, not what is free.

        Called at start, on every tick and after `context.capacity_changed()`. A provisioner that
        leaves it out has one unbounded room with the name "".

        Where only some profiles cannot be made in a room, say so by its `refuses`: the others go
        on. Making a runner that finds that out too late raises `NoRoom`.

        Returns:
            Each room by its name, which `runner.room` is then; in an empty list there is no place
            for anything.

        Raises:
            Unavailable: It cannot be told now: the rooms stay as they were told last.

        Example:
            @hookimpl
            async def capacity(self):
                return [Room(name="vm1", total={"memory": 64 << 30, "vcpus": 16})]
        """

    @_hook(Kind.ROUTE, 10, bytes, none=False)
    async def screenshot(self, machine: Machine) -> bytes:
        """A PNG of the machine's screen, of a runner or a builder. Optional.

        Called for one machine after another in the background, where the plugin's `Config` has a
        `Duration` named `screenshot_interval` that is not 0: each is pictured that often, or as
        often as 5 % of a core allow, builders and whoever is looked at first. Called as well when
        somebody asks for one now: up to four machines at a time, and each at most once a second.
        The last picture of each is kept in memory for `Context.picture`: of at most 4 MiB, all
        together at most 64 MiB. Called once more for a runner that failed, before `destroy_runner`.
        A machine that gives none is left alone for longer and longer, up to 10 minutes, but for
        those who ask for one now.

        Args:
            machine: As it was listed or told of last.

        Returns:
            The picture, of at most 4 MiB.

        Raises:
            Unavailable: It cannot be taken now, or that machine has no screen.

        Example:
            @hookimpl
            async def screenshot(self, machine):
                return await self.hypervisor.screenshot(machine.id)
        """

    @_hook(Kind.ASK, 15, records.Selection)
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        """Authorise a reservation: which profile, how many. None: not mine to decide.

        Asked in the settings' order; the first answer wins. Nobody's answer, or an error, is a no.
        Asked once for all who ask the same at the same time, and not again once runners were given.

        Args:
            request: Who asks, and for what: text from outside, of which nothing is proven.

        Returns:
            The profile's key and how many runners of it; None where another plugin may decide.

        Raises:
            Refused: No, and why.
            Unavailable: It cannot be decided now.

        Example:
            @hookimpl
            async def select_runner(self, request):
                if request.qualified_repo in self.trusted:
                    return Selection(profile="linux", count=1)
        """

    @_hook(Kind.GATHER, 1, records.Panel)
    async def render_dashboard(self, view: View) -> Panel | None:
        """This plugin's panel on the dashboard, or None where it has nothing to show.

        Called when somebody asks by `Context.panels`, at most once a second, and once for all who
        ask at the same time; panels come in the settings' order. An error, or taking too long,
        costs this plugin's own panel. `html` is shown as it is: escape whatever in it comes from
        outside.

        Args:
            view: Everything at one moment, without secrets. It cannot be changed.

        Returns:
            The panel: its title, its data for programs, its HTML for people. None: nothing to show.

        Example:
            @hookimpl
            async def render_dashboard(self, view):
                return Panel(title="Quota", data={"left": self.left})
        """

    @_hook(Kind.TELL, 10)
    async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        """A runner took a step; `before` is None when it is new. Secrets are left out.

        Args:
            runner: As it is now, `runner.reason` saying why.
            before: As it was; None where it is new.

        Example:
            @hookimpl
            async def on_runner_changed(self, runner, before):
                if runner.state == "retiring":
                    self.context.log.info("%s: %s", runner.name, runner.reason)
        """


SPEC = Spec()


def contract(hook: Callable[..., Any]) -> Contract:
    """The machine-readable part of a hook's declaration."""
    found: Contract = hook.contract  # type: ignore[attr-defined]
    return found


def hook_names() -> list[str]:
    """The names of all hooks, in the order of their declaration."""
    return [name for name, member in vars(Spec).items() if hasattr(member, "contract")]
