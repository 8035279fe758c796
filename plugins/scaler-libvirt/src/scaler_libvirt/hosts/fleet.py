"""The hosts: those that the settings have, and those that they had and that are not left yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from scaler_libvirt.hosts.host import Host
    from scaler_libvirt.settings import HostSettings

LOOK = 5.0  # seconds between two looks at hosts that are to be left


class MakeHost(Protocol):
    """Makes a host that is served by nobody yet."""

    def __call__(self, settings: HostSettings, *, alone: bool) -> Host: ...  # noqa: D102


class Fleet:
    """See the module.

    A host that is down while it is to be left stays: what runs there is not known, so it is not
    gone. It is left when it answers that nothing of ours is there, or by a restart. But one that
    was added since the start and never answered has nothing of ours.

    Args:
        told: What the settings say of them.
        make: Makes one.
        held: Whether something of ours is or will be on the host of this name, whatever libvirt
            says.
        left: Told of each that was left.

    Attributes:
        hosts: By name, in the order of the settings, which it is changed to in place.
    """

    def __init__(
        self,
        told: Iterable[HostSettings],
        make: MakeHost,
        held: Callable[[str], bool],
        left: Callable[[Host], None],
    ) -> None:
        self.hosts: dict[str, Host] = {}
        self._make = make
        self._held = held
        self._left = left
        self._nursery: trio.Nursery | None = None
        self._scopes: dict[str, trio.CancelScope] = {}
        self._added: set[str] = set()  # since the start
        self.renew(told)
        self._added.clear()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be connected to them all, and leave those that are to be left, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for host in self.hosts.values():
                    self._begin(nursery, host)
                task_status.started()
                while True:
                    await trio.sleep(LOOK)
                    await self._look()
        finally:
            self._nursery = None
            self._scopes.clear()

    def renew(self, told: Iterable[HostSettings], changed: Collection[str] = ()) -> list[str]:
        """Go by these settings from now on; never waits.

        Args:
            told: What they say of the hosts.
            changed: Profiles of which something is another than before.

        Returns:
            What of it counts only after a restart, as `key path: why`.
        """
        before, restarts = dict(self.hosts), []
        self.hosts.clear()
        for settings in told:
            host = before.pop(settings.name, None)
            if host is None:
                host = self._make(settings, alone=False)
                self._added.add(host.name)
                if self._nursery is not None:
                    self._begin(self._nursery, host)
            else:
                restarts += host.settings.restarts(settings)
                host.renew(settings, alone=host.alone, changed=changed)
            self.hosts[host.name] = host
        for host in before.values():
            host.leave(changed)
            self.hosts[host.name] = host
        self._choose()
        return restarts

    def _choose(self) -> None:
        """Guests are known by their addresses on one host of this machine: two may have the same.

        It stays the same one until it is left, and so are the machines there.
        """
        hosts = self.hosts.values()
        if not any(host.alone for host in hosts):
            for host in hosts:
                if host.settings.local and not host.leaving:
                    host.renew(host.settings, alone=True)
                    return

    async def _look(self) -> None:
        for host in [each for each in self.hosts.values() if each.leaving]:
            never = host.name in self._added and not host.seen
            empty = never or await host.is_empty()
            if empty and host.leaving and not self._held(host.name):
                self._scopes.pop(host.name).cancel()
                del self.hosts[host.name]
                self._choose()
                self._left(host)

    def _begin(self, nursery: trio.Nursery, host: Host) -> None:
        scope = self._scopes[host.name] = trio.CancelScope()
        nursery.start_soon(_serve, host, scope, name=f"libvirt host {host.name}")


async def _serve(host: Host, scope: trio.CancelScope) -> None:
    with scope:
        await host.serve()
