"""The core's side of a Context, without a core: it notes what a plugin says, and answers."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import trio

from scaler.errors import (
    GuestAmbiguous,
    GuestUnknown,
    GuestUsed,
    Refused,
    Unavailable,
)
from scaler.evidence.index import ITEM, is_name
from scaler.records import (
    Kept,
    Machine,
    Message,
    Panel,
    Picture,
    Profile,
    ProfileView,
    Registration,
    Report,
    Reservation,
    Runner,
    Selection,
    SelectionRequest,
    View,
)
from scaler.sound import unsound

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.testing.memory import Memory
    from scaler.units import Secret


@dataclass
class FakeGuest:
    """A machine's guest, for `FakeCore.guests`.

    Attributes:
        profile: The key of its profile.
        runner: Its runner's id; None for a builder.
        script: Its boot script; empty where its profile has none.
        config: Its registration's config; None once it is too late for it.
        secret: What it is known by beside its address; empty where that is enough.
    """

    profile: str
    runner: int | None = None
    script: str = ""
    config: Secret | None = None
    secret: str = ""

    async def boot(self) -> str:
        """See `Guest.boot`."""
        await trio.lowlevel.checkpoint()
        if not self.script:
            raise GuestUnknown("its profile has no boot script")
        return self.script

    async def registration(self) -> Secret:
        """See `Guest.registration`."""
        await trio.lowlevel.checkpoint()
        if self.runner is None:
            raise GuestUnknown("it is a builder")
        if self.config is None:
            raise GuestUsed("it was given already")
        return self.config


class FakeCore:
    """What stands behind a `FakeContext`: public lists of what the plugin said, and answers.

    Attributes:
        memory: Facts and evidence.
        messages: What was delivered, oldest first; a delivery that failed is not in it.
        refused: The deliveries that `fail_deliver` made fail.
        reports: Every report, oldest first.
        machines: Every machine that was told of by `machine_changed`.
        registrations: Every registration that was told of by `registration_changed`.
        capacity_changes: How often `capacity_changed` was called.
        ceilings: Runners that a profile may have; a profile's `max_count` where it is not here.
            Change it by `set_ceiling`.
        view_now: What `view` answers; made of the profiles and `runners` where it is None.
        runners: The runners in that view; those that `take` gives are the idle ones among them.
        guests: Guests by their address.
        selections: What `select` answers, by unique_id.
        pictures: What `picture` and `screenshot` answer, by runner's id, profile or machine's id.
        panels_now: What `panels` answers.
        overrides: Every override that was asked for, oldest first; None where it was ended.
        siblings: Other plugins of the distribution, by class.
        profiles: Every profile by its key.
    """

    def __init__(
        self, memory: Memory, profiles: Mapping[str, Profile], scaler: str, stopping: trio.Event
    ) -> None:
        self.memory = memory
        self.messages: list[Message] = []
        self.refused: list[Message] = []
        self.reports: list[Report] = []
        self.machines: list[Machine] = []
        self.registrations: list[Registration] = []
        self.capacity_changes = 0
        self.ceilings: dict[str, int] = {}
        self.view_now: View | None = None
        self.runners: list[Runner] = []
        self.guests: dict[str, FakeGuest] = {}
        self.selections: dict[str, Selection] = {}
        self.pictures: dict[int | str, Picture] = {}
        self.panels_now: dict[str, Panel | None] = {}
        self.overrides: list[Mapping[str, int] | None] = []
        self.siblings: dict[type[Any], Any] = {}
        self.profiles = profiles
        self._scaler = scaler
        self._stopping = stopping
        self._failing = 0
        self._version = 0
        self._news = trio.Event()

    # -- a test's side

    def set_ceiling(self, profile: str, ceiling: int) -> None:
        """Let a profile have so many runners, and tell whoever waits for it to change."""
        self.ceilings[profile] = ceiling
        self.changed()

    def fail_deliver(self, times: int = 1) -> None:
        """Let the next deliveries raise `Unavailable`, as when the disk is full."""
        self._failing = times

    def changed(self) -> None:
        """Something is different: wake whoever waits for news."""
        self._version += 1
        self._news.set()
        self._news = trio.Event()

    async def until(self, true: Callable[[], Any], within: float = 10.0) -> None:
        """Wait until something is true of what the plugin said.

        Raises:
            trio.TooSlowError: It is not, so many seconds later.
        """
        with trio.fail_after(within):
            while not true():
                await self._news.wait()

    # -- Context's side

    async def deliver(self, plugin: str, message: Message) -> None:
        """See `Context.deliver`."""
        await trio.lowlevel.checkpoint()
        if message.profile is not None and message.profile not in self.profiles:
            raise LookupError(f"the profile {message.profile!r} does not belong to {plugin}")
        if trouble := unsound(message):
            raise TypeError(trouble)
        if self._failing > 0:
            self._failing -= 1
            self.refused.append(message)
            self.changed()
            raise Unavailable("it could not be made durable")
        if message.cursor is not None:
            self.memory.facts[f"cursor/{message.profile or ''}"] = _json(message.cursor)
        self.messages.append(message)
        self.changed()

    async def load(self, plugin: str, key: str) -> Any:
        """See `Context.load`."""
        await trio.lowlevel.checkpoint()
        return _json(self.memory.facts.get(key))

    async def save(self, plugin: str, key: str, value: Any) -> None:
        """See `Context.save`."""
        plain = _json(value)
        await trio.lowlevel.checkpoint()
        if plain is None:
            self.memory.facts.pop(key, None)
        else:
            self.memory.facts[key] = plain
        self.changed()

    def report(
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None:
        """See `Context.report`."""
        self.reports.append(
            Report(
                plugin=plugin,
                profile=profile,
                ok=ok,
                text=text,
                time=time.time(),
                facts=dict(facts),
            )
        )
        self.changed()

    def match(self, labels: tuple[str, ...]) -> str | None:
        """See `Context.match`."""
        wanted = {label.lower() for label in labels}
        for name, profile in self.profiles.items():
            if wanted and wanted <= {"self-hosted", *(label.lower() for label in profile.labels)}:
                return name
        return None

    def ceiling(self, profile: str) -> int:
        """See `Context.ceiling`."""
        if self._stopping.is_set() or profile not in self.profiles:
            return 0
        return self.ceilings.get(profile, self.profiles[profile].max_count)

    async def ceiling_changed(self, profile: str, seen: int) -> int:
        """See `Context.ceiling_changed`."""
        await trio.lowlevel.checkpoint()
        while (ceiling := self.ceiling(profile)) == seen:
            await self._news_or_the_end()
        return ceiling

    async def _news_or_the_end(self) -> None:
        if self._stopping.is_set():
            await self._news.wait()
            return

        async def end() -> None:
            await self._stopping.wait()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            await self._news.wait()
            nursery.cancel_scope.cancel()

    def registration_changed(self, plugin: str, registration: Registration) -> None:
        """See `Context.registration_changed`."""
        self.registrations.append(registration)
        self.changed()

    def machine_changed(self, plugin: str, machine: Machine) -> None:
        """See `Context.machine_changed`."""
        self.machines.append(machine)
        self.changed()

    def capacity_changed(self, plugin: str) -> None:
        """See `Context.capacity_changed`."""
        self.capacity_changes += 1
        self.changed()

    def view(self) -> View:
        """See `Context.view`."""
        if self.view_now is not None:
            return self.view_now
        profiles = {
            name: ProfileView(
                profile=profile, demand=0, target=0, ceiling=self.ceiling(name), counts={}
            )
            for name, profile in self.profiles.items()
        }
        last = {(each.plugin, each.profile): each for each in self.reports}
        return View(
            version=self._version,
            time=time.time(),
            scaler=self._scaler,
            stopping=self._stopping.is_set(),
            profiles=profiles,
            jobs=(),
            runners=tuple(self.runners),
            rooms={},
            reports=tuple(last.values()),
            waiting={},
            events=(),
        )

    async def next_view(self, after: View) -> View:
        """See `Context.next_view`."""
        await trio.lowlevel.checkpoint()
        while (view := self.view()).version == after.version:
            await self._news.wait()
        return view

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        """See `Context.plugin`."""
        for own, instance in self.siblings.items():
            if issubclass(own, cls):
                return instance
        raise LookupError(f"{cls.__name__} is not enabled, or of another distribution")

    async def select(self, request: SelectionRequest) -> Selection:
        """See `Context.select`."""
        await trio.lowlevel.checkpoint()
        if request.unique_id not in self.selections:
            raise Refused("no-selector", "no plugin selects")
        return self.selections[request.unique_id]

    async def take(
        self, selection: Selection, reservation: Reservation, wait: float
    ) -> tuple[Runner, ...]:
        """See `Context.take`."""
        await trio.lowlevel.checkpoint()
        if selection.profile not in self.profiles:
            raise LookupError(f"there is no profile {selection.profile!r}")
        idle = [
            each
            for each in self.runners
            if (each.profile, each.state) == (selection.profile, "idle")
        ][: selection.count]
        if len(idle) < selection.count:
            return ()
        taken = {each.id: _reserved(each, reservation) for each in idle}
        self.runners = [taken.get(each.id, each) for each in self.runners]
        self.changed()
        return tuple(taken.values())

    def guest(self, address: str, secret: str | None) -> FakeGuest:
        """See `Context.guest`."""
        by_secret = [each for each in self.guests.values() if secret and each.secret == secret]
        found = by_secret or [each for key, each in self.guests.items() if key == address]
        if not found:
            raise GuestUnknown(f"no machine is known by {address}")
        if len(found) > 1:
            raise GuestAmbiguous("more than one machine has this secret")
        return found[0]

    async def override(self, counts: Mapping[str, int] | None, by: str) -> Mapping[str, int] | None:
        """See `Context.override`."""
        await trio.lowlevel.checkpoint()
        before = self.overrides[-1] if self.overrides else None
        self.overrides.append(counts)
        self.changed()
        return counts if counts is not None else before

    async def screenshot(self, machine: Machine) -> Picture:
        """See `Context.screenshot`."""
        await trio.lowlevel.checkpoint()
        for key in (machine.id, machine.runner, machine.profile):
            if key is not None and key in self.pictures:
                return self.pictures[key]
        raise Unavailable("it cannot be taken now")

    def picture(self, subject: int | str) -> Picture | None:
        """See `Context.picture`."""
        return self.pictures.get(subject)

    async def panels(self) -> Mapping[str, Panel | None]:
        """See `Context.panels`."""
        await trio.lowlevel.checkpoint()
        return dict(self.panels_now)

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool:
        """See `Context.keep`."""
        if not is_name(name):
            raise ValueError(f"found the name {name!r}, wanted up to 64 of a-z, 0-9, . and -")
        if len(data) > ITEM:
            raise ValueError(f"found {len(data)} bytes, wanted {ITEM} at most: cut it")
        if isinstance(subject, str) and subject not in self.profiles:
            raise LookupError(f"there is no runner or profile {subject!r}")
        await trio.lowlevel.checkpoint()
        self.memory.kept.pop((subject, name), None)
        if data:
            self.memory.kept[subject, name] = bytes(data)
        self.changed()
        return True

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        """See `Context.kept`."""
        return tuple(
            Kept(name=name, size=len(data), time=time.time())
            for (whose, name), data in self.memory.kept.items()
            if whose == subject
        )

    async def read_kept(self, subject: int | str, name: str) -> bytes | None:
        """See `Context.evidence`."""
        await trio.lowlevel.checkpoint()
        return self.memory.kept.get((subject, name))


def picture_of(png: bytes) -> Picture:
    """A picture as the core makes one."""
    return Picture(png=png, time=time.time(), etag=hashlib.sha256(png).hexdigest()[:16])


def _reserved(runner: Runner, reservation: Reservation) -> Runner:
    return replace(runner, state=type(runner.state)("reserved"), reservation=reservation)


def _json(value: Any) -> Any:
    """The value as it comes back from the ledger."""
    return json.loads(json.dumps(value))
