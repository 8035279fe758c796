"""Which profiles a host takes, kept up to date: asked of libvirt, and learnt from what failed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt.hosts import driver, networks
from scaler_libvirt.hosts.acceleration import FINDING_OUT
from scaler_libvirt.hosts.base import CannotBeMadeError
from scaler_libvirt.hosts.conditions import NOT_LOOKED, Conditions, inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from scaler import Profile
    from scaler_libvirt.hosts.acceleration import Acceleration
    from scaler_libvirt.hosts.conditions import Wants
    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.hosts.slots import Slots
    from scaler_libvirt.hosts.ties import Ties
    from scaler_libvirt.settings import HostSettings

EVERY = 30.0  # seconds between two looks: what a person mends is noticed
SPOILT = 60.0  # seconds for which a making that failed speaks against its profile
DEADLINE = 60.0
_CALM = 0.5
_TRIES = 10  # slots that turn out to be somebody's


class Suitability:
    """See the module.

    Args:
        settings: The host's.
        ties: To the world above.
        wants: What each profile's machines need here.
        connection: To the host.
        acceleration: How it runs machines, or that this is still to be found out.
        slots: The host's.
        busy: Whether machines are being made.

    Attributes:
        wants: What each profile's machines need here.
        conditions: As last seen.
    """

    def __init__(
        self,
        settings: HostSettings,
        ties: Ties,
        wants: Mapping[str, Wants],
        connection: Connection,
        acceleration: Acceleration,
        slots: Slots,
        busy: Callable[[], bool],
    ) -> None:
        self.conditions = Conditions()
        self._settings = settings
        self._ties = ties
        self.wants = self._counted(wants)
        self._connection = connection
        self._acceleration = acceleration
        self._slots = slots
        self._busy = busy
        self._spoilt: dict[str, tuple[str, float]] = {}
        self._new: set[str] = set()  # profiles for which it was not looked since they changed
        self._hopeless = ""
        self._told: dict[str, str] = {}
        self._now = trio.Event()
        self._looked = trio.Event()

    def renew(
        self, settings: HostSettings, wants: Mapping[str, Wants], changed: Collection[str]
    ) -> None:
        """Go by these settings from now on, and look at what they need.

        Args:
            settings: The host's; where it is stays as it was.
            wants: What each profile's machines need here.
            changed: Profiles of which something is another: what spoke against them may not.
        """
        before, self._settings = self.wants, settings
        self.wants = self._counted(wants)
        self._new |= {key for key, each in self.wants.items() if before.get(key) != each}
        self._new &= self.wants.keys()
        self._spoilt = {
            key: each
            for key, each in self._spoilt.items()
            if key in self.wants and key not in changed
        }
        self._now.set()

    def _counted(self, wants: Mapping[str, Wants]) -> dict[str, Wants]:
        return {
            key: replace(each, uncounted=_uncounted(self._settings, self._ties.profiles.get(key)))
            for key, each in wants.items()
        }

    def refusals(self) -> dict[str, str]:
        """By profile, why the host takes none of it now."""
        if self._hopeless:
            return dict.fromkeys(self.wants, self._hopeless)
        found = dict.fromkeys(self.wants, FINDING_OUT) if self._acceleration.kind is None else {}
        if self._spoilt:
            now = trio.current_time()
            found |= {
                profile: text for profile, (text, until) in self._spoilt.items() if until > now
            }
        new = self._new if self.conditions.looked else self.wants.keys()
        found |= {key: NOT_LOOKED for key in new if self.wants[key].anything}
        seen = self.conditions.refusals
        return found | {key: why for key, why in seen.items() if key in self.wants.keys() - new}

    def spoilt(self, profile: str, text: str) -> None:
        """A machine could not be made, and the next would fare the same."""
        self._spoilt[profile] = (text, trio.current_time() + SPOILT)
        if self._acceleration.doubt(text):
            self._now.set()
        self._tell()

    def _tell(self) -> None:
        refusals = self.refusals()
        if refusals != self._told:
            self._told = refusals
            self._ties.changed()

    async def arrive(self) -> None:
        """A connection is new: see what there is.

        Raises:
            Unavailable: The host cannot be asked.
        """
        facts = self._connection.facts
        if facts is None:
            return
        try:
            self._hopeless = ""
            self._acceleration.given(facts)
        except ValueError as error:
            self._hopeless = str(error)
        await self._inspect()

    def wake(self) -> None:
        """The host went up or down: look now. What takes long is done while it is up already."""
        self._told = self.refusals()  # (whoever says so says that too)
        self._now.set()

    async def run(self) -> None:
        """Look again and again, and have addresses ready, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look)
            nursery.start_soon(self._warm)

    async def _look(self) -> None:
        while True:
            with trio.move_on_after(EVERY):
                await self._now.wait()
            self._now = trio.Event()
            if not self._connection.up:
                continue
            try:
                if self._acceleration.kind is None and not self._hopeless:
                    await self._acceleration.find_out(self._connection)
                    self._tell()
                await self._inspect()
            except (Unavailable, driver.Error) as error:
                self._ties.log.debug("host %s is not looked at: %s", self._settings.name, error)
            self._tell()
            self._looked.set()

    async def _inspect(self) -> None:
        now = trio.current_time()
        wants: Mapping[str, Wants] | None = None
        try:
            while wants is not self.wants:  # else it looked for what nobody wants any more
                wants = self.wants
                self.conditions = await self._connection.call(
                    partial(inspect, pool_name=self._settings.pool_name, wants=wants),
                    deadline=DEADLINE,
                )
            self._new.clear()
        except driver.Error as error:
            self._ties.log.warning(
                "host %s: what it has cannot be looked at: %s", self._settings.name, error
            )
        self._spoilt = {
            profile: (text, until) for profile, (text, until) in self._spoilt.items() if until > now
        }

    async def _warm(self) -> None:
        """Enter slots before they are needed: that takes libvirt a third of a second each.

        Beside the looking, since it may take long.
        """
        while True:
            await self._looked.wait()
            self._looked = trio.Event()
            if self._acceleration.kind in (None, "test"):
                continue
            for name in self.conditions.networks:
                try:
                    await self._warm_one(name)
                except (Unavailable, driver.Error, CannotBeMadeError) as error:
                    self._ties.log.debug(
                        "host %s: no addresses are made ready: %s", self._settings.name, error
                    )

    async def _warm_one(self, name: str) -> None:
        most = sum(
            max(profile.max_count, profile.target_count)
            for key, profile in self._ties.profiles.items()
            if key in self.wants and self.wants[key].network == name and self.wants[key].fixed
        )
        while most:
            # whoever waits for a machine comes first
            while self._busy():  # noqa: ASYNC110 - nobody tells
                await trio.sleep(_CALM)
            more = await self._connection.call(
                partial(enter_one, name=name, slots=self._slots, most=most),
                deadline=DEADLINE,
                lane="images",
            )
            if not more:
                return


def enter_one(connection: driver.Connection, name: str, slots: Slots, most: int) -> bool:
    """Enter the next slot that a network lacks; whether there was one. Blocks."""
    network = networks.open_network(connection, name)
    missing = slots.missing(networks.facts(network), networks.leases(network), most)
    # (one that turns out to be another's is passed over)
    return any(networks.add_host(network, entry) for entry in missing[:_TRIES])


def _uncounted(settings: HostSettings, profile: Profile | None) -> frozenset[str]:
    """What is limited on a host, and not counted for a profile's machines."""
    if profile is None:
        return frozenset()
    counted = {name for name, amount in profile.resources.items() if amount}
    if "hugepages_1g" in counted:
        counted.add("memory")  # that is where all of it lies
    return frozenset(settings.total()) - counted
