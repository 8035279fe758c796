"""Context: the only way up, from a plugin to the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar

import trio

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scaler.records import (
        Kept,
        Machine,
        Message,
        Panel,
        Picture,
        Profile,
        Registration,
        Reservation,
        Runner,
        Selection,
        SelectionRequest,
        View,
    )
    from scaler.units import Secret

C = TypeVar("C")
P = TypeVar("P")


class Core(Protocol):
    """What Context stands in front of; the core's own side, and a test's."""

    async def deliver(self, plugin: str, message: Message) -> None: ...  # noqa: D102
    async def load(self, plugin: str, key: str) -> Any: ...  # noqa: D102
    async def save(self, plugin: str, key: str, value: Any) -> None: ...  # noqa: D102
    def report(  # noqa: D102
        self, plugin: str, text: str, ok: bool, profile: str, facts: Mapping[str, Any]
    ) -> None: ...
    def match(self, labels: tuple[str, ...]) -> str | None: ...  # noqa: D102
    def ceiling(self, profile: str) -> int: ...  # noqa: D102
    async def ceiling_changed(self, profile: str, seen: int) -> int: ...  # noqa: D102
    def registration_changed(self, plugin: str, registration: Registration) -> None: ...  # noqa: D102
    def machine_changed(self, plugin: str, machine: Machine) -> None: ...  # noqa: D102
    def capacity_changed(self, plugin: str) -> None: ...  # noqa: D102
    def view(self) -> View: ...  # noqa: D102
    async def next_view(self, after: View) -> View: ...  # noqa: D102
    def sibling(self, plugin: str, cls: type[Any]) -> Any: ...  # noqa: D102
    async def select(self, request: SelectionRequest) -> Selection: ...  # noqa: D102
    async def take(  # noqa: D102
        self, selection: Selection, reservation: Reservation, wait: float
    ) -> tuple[Runner, ...]: ...
    def guest(self, address: str, secret: str | None) -> Guest: ...  # noqa: D102
    async def override(  # noqa: D102
        self, counts: Mapping[str, int] | None, by: str
    ) -> Mapping[str, int] | None: ...
    async def screenshot(self, machine: Machine) -> Picture: ...  # noqa: D102
    def picture(self, subject: int | str) -> Picture | None: ...  # noqa: D102
    async def panels(self) -> Mapping[str, Panel | None]: ...  # noqa: D102
    async def keep(self, subject: int | str, name: str, data: bytes) -> bool: ...  # noqa: D102
    def kept(self, subject: int | str) -> tuple[Kept, ...]: ...  # noqa: D102
    async def read_kept(self, subject: int | str, name: str) -> bytes | None: ...  # noqa: D102


class Guest(Protocol):
    """A machine's guest, known by its secret or its address.

    Attributes:
        profile: The key of its profile.
        runner: Its runner's id; None for a builder.
    """

    @property
    def profile(self) -> str: ...  # noqa: D102
    @property
    def runner(self) -> int | None: ...  # noqa: D102

    async def boot(self) -> str:
        """Its profile's boot script, as the file is now.

        Raises:
            GuestUnknown: Its profile has none.
            GuestNotReady: The file cannot be read now.
        """
        ...

    async def registration(self) -> Secret:
        """Its registration's config, while it may be asked for.

        That is until its runner is online, and for 120 s after the first time.

        Raises:
            GuestUnknown: It is a builder.
            GuestUsed: It is too late.
            GuestNotReady: It is too early, or cannot be written down now.
        """
        ...


class Context(Generic[C, P]):
    """What a plugin is built with: its settings, its folder, its log, and the way up to the core.

    It holds no nursery, no ledger and no token. Its plain methods may also be called from a plain
    hook, which runs in a thread.

    Attributes:
        name: The plugin's name in the settings.
        scaler: This scaler's name; part of every tag and runner name.
        config: The plugin's `Config`, from `[plugins.NAME]`.
        profiles: Every profile by its key.
        own: This plugin's `ProfileConfig` by the key of each profile that belongs to it.
        folder: `state_dir/plugins/NAME`, mode 0700, made before the plugin is built.
        log: Its logger; records carry the plugin's name.
        stopping: Set at stage one of shutdown: finish what is in hand, start nothing new.
    """

    def __init__(
        self,
        *,
        name: str,
        scaler: str,
        config: C,
        profiles: Mapping[str, Profile],
        own: Mapping[str, P],
        folder: Path,
        log: logging.LoggerAdapter[logging.Logger],
        stopping: trio.Event,
        core: Core,
    ) -> None:
        self.name = name
        self.scaler = scaler
        self.config = config
        self.profiles = profiles
        self.own = own
        self.folder = folder
        self.log = log
        self.stopping = stopping
        self._core = core

    def plugin(self, cls: type[T]) -> T:
        """Another enabled plugin of this plugin's own distribution.

        Raises:
            LookupError: It is not enabled, or it belongs to another distribution.
        """
        found: T = self._core.sibling(self.name, cls)
        return found

    async def load(self, key: str) -> Any:
        """A small durable fact, or None. JSON types."""
        return await self._core.load(self.name, key)

    async def save(self, key: str, value: Any) -> None:
        """Keep a small fact (JSON types); it is durable when this returns. None forgets it."""
        await self._core.save(self.name, key, value)

    def report(self, text: str, *, ok: bool = True, profile: str = "", **facts: Any) -> None:
        """Say how this plugin is: one line per profile, and one for profile "".

        It replaces the line before. One that is not `ok` is shown in `/readyz` and
        `/dashboard.json` of scaler-monitor.

        Raises:
            TypeError: The text is no text (an exception, for example), or a fact is no plain data.
        """
        _on_loop(self._core.report, self.name, text, ok, profile, facts)

    async def deliver(self, message: Message) -> None:
        """Hand a message to the core: its jobs, its demand, its cursor.

        When this returns, all of it is durable: only then tell the other side that it was received.
        Safe to repeat. Offered jobs are acquired in here, as far as the ceiling allows.

        Raises:
            LookupError: The message's profile does not belong to this plugin.
            TypeError: A field is not of its type.
            Unavailable: It could not be made durable: deliver it again.
        """
        await self._core.deliver(self.name, message)

    def match(self, labels: tuple[str, ...]) -> str | None:
        """The profile that serves these labels, for sources that know nothing else."""
        return _on_loop(self._core.match, labels)

    def ceiling(self, profile: str) -> int:
        """How many runners this profile may have in all, now; 0 while stopping."""
        return _on_loop(self._core.ceiling, profile)

    async def ceiling_changed(self, profile: str, seen: int) -> int:
        """Wait until the ceiling differs from `seen`; return it."""
        return await self._core.ceiling_changed(profile, seen)

    def registration_changed(self, registration: Registration) -> None:
        """A registration came online, became busy or free, or is gone: tell as soon as known.

        `gone` is told only where the other side removed it by itself, also from within
        `unregister_runner`: a runner whose machine has stopped, too, has had its job then.
        """
        _on_loop(self._core.registration_changed, self.name, registration)

    def machine_changed(self, machine: Machine) -> None:
        """A machine runs, has learnt an address, or has stopped (say why)."""
        _on_loop(self._core.machine_changed, self.name, machine)

    def capacity_changed(self) -> None:
        """`capacity()` would answer something else now: have it asked soon."""
        _on_loop(self._core.capacity_changed, self.name)

    def view(self) -> View:
        """A snapshot of everything; the same object until something changes."""
        return _on_loop(self._core.view)

    async def next_view(self, after: View) -> View:
        """Wait for a snapshot newer than `after`; at most ten a second."""
        return await self._core.next_view(after)

    async def select(self, request: SelectionRequest) -> Selection:
        """Have the plugins decide whether someone may reserve runners, and which.

        Whoever was given runners before with the same `unique_id`, repository and run is answered
        as then, and no plugin is asked.

        Raises:
            Refused: No; `code` says why in a word.
            Unavailable: It cannot be decided now.
        """
        return await self._core.select(request)

    async def take(
        self, selection: Selection, reservation: Reservation, *, wait: float = 0.0
    ) -> tuple[Runner, ...]:
        """Reserve so many idle runners of a profile, all or none.

        The same `unique_id` again gets the same answer for 24 hours. What was begun is brought to
        its end when the caller is cancelled.

        Args:
            selection: The profile, and how many.
            reservation: For whom.
            wait: Seconds to stand in line for them: first come, first served.

        Returns:
            The runners as they are now; none where not so many are idle.

        Raises:
            LookupError: There is no such profile.
            Refused: `not-reservable`: the profile's source reserves no runners; `unique-id-used`:
                for something else; `too-many`: the profile never has so many.
            Unavailable: They cannot be reserved now, or the wait is over; none is.
        """
        return await self._core.take(selection, reservation, wait)

    def guest(self, address: str, secret: str | None = None) -> Guest:
        """The guest that asks, by its secret or else by its address.

        Raises:
            GuestUnknown: No machine is known by it.
            GuestNotReady: Some machine's address is not known yet: it may be this one.
            GuestAmbiguous: More than one machine has this address.
        """
        return _on_loop(self._core.guest, address, secret)

    async def override(
        self, counts: Mapping[str, int] | None, by: str = ""
    ) -> Mapping[str, int] | None:
        """Ask for more runners for a while, or end that (None).

        Args:
            counts: Runners that are wanted, by profile.
            by: Who asks, for people.

        Returns:
            The counts as adjusted to what there is and fits; those that were active at the end.

        Raises:
            LookupError: There is no such profile.
            ValueError: There are no counts, one is negative, or they are more than 1,000 in all.
            Refused: `override-active`: one is active already; `override-idle`: nothing is left to
                add.
            Unavailable: It cannot be written down now.
        """
        return await self._core.override(counts, by)

    async def screenshot(self, machine: Machine) -> Picture:
        """Take a picture of a machine's screen now; one a second of each at most.

        Raises:
            LookupError: Its provisioner takes none.
            Unavailable: It cannot be taken now.
        """
        return await self._core.screenshot(machine)

    def picture(self, subject: int | str) -> Picture | None:
        """The last picture of a runner (its id) or of a profile's builder (its key), if any.

        Who is looked at is pictured first. While no builder of the profile runs, it is what the
        last one showed, or the `screenshot.png` that was kept of the profile, if that is newer;
        forgetting that one (`keep` with no data) takes both away.
        """
        return _on_loop(self._core.picture, subject)

    async def panels(self) -> Mapping[str, Panel | None]:
        """Every plugin's panel, at most once a second anew; None where it could not be made."""
        return await self._core.panels()

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool:
        """Keep evidence of a failure, in a file for its owner alone.

        What is kept is bounded: 1 MiB an item (cut it to what matters, such as the end of a log),
        32 items of a subject, 200 subjects, 64 MiB in all, 14 days; the oldest goes. No secret may
        be in it. Of a runner that failed, the core itself keeps `reason.txt`, `events.txt` and
        `screenshot.png`, before `destroy_runner` is called.

        Args:
            subject: A runner's id, also of one that is just gone, or a profile's key.
            name: Up to 64 of a-z, 0-9, `.` and `-`, such as `serial.log`. What had that name goes.
            data: None of it (`b""`): forget the item.

        Returns:
            Whether it is kept. A disk that is full, or takes longer than 4 s, is told to people
            once, and is nothing that the caller must deal with.

        Raises:
            LookupError: There is no such runner or profile.
            ValueError: The name is none, or the data are too large.
        """
        return await self._core.keep(subject, name, data)

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        """The evidence that is kept of a runner (its id) or a profile (its key), newest last."""
        return _on_loop(self._core.kept, subject)

    async def evidence(self, subject: int | str, name: str) -> bytes | None:
        """An item of evidence; None where it is not kept (any more), or cannot be read."""
        return await self._core.read_kept(subject, name)


T = TypeVar("T")
A = ParamSpec("A")


def _on_loop(call: Callable[A, T], *args: A.args, **kwargs: A.kwargs) -> T:
    """Call the core where it lives: a plain hook runs in a thread, and events are not for threads.

    Raises:
        RuntimeError: The thread is not one of trio's.
    """
    if trio.lowlevel.in_trio_run():
        return call(*args, **kwargs)
    return trio.from_thread.run_sync(lambda: call(*args, **kwargs))
