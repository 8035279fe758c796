"""Which profiles a host takes, kept up to date: asked of libvirt, and learnt from what failed."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt.hosts import assembly, driver
from scaler_libvirt.hosts.acceleration import FINDING_OUT
from scaler_libvirt.hosts.conditions import Conditions, inspect
from scaler_libvirt.hosts.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        self.wants = wants
        self._connection = connection
        self._acceleration = acceleration
        self._slots = slots
        self._busy = busy
        self._spoilt: dict[str, tuple[str, float]] = {}
        self._hopeless = ""
        self._now = trio.Event()

    def refusals(self) -> dict[str, str]:
        """By profile, why the host takes none of it now."""
        everyone = self._hopeless or ("" if self._acceleration.kind else FINDING_OUT)
        if everyone:
            return dict.fromkeys(self.wants, everyone)
        spoilt = {profile: text for profile, (text, _) in self._spoilt.items()}
        return {**spoilt, **self.conditions.refusals}

    def spoilt(self, profile: str, text: str) -> None:
        """A machine could not be made, and the next would fare the same."""
        before = self.refusals()
        self._spoilt[profile] = (text, time.monotonic() + SPOILT)
        if self.refusals() != before:
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
        self._now.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            with trio.move_on_after(EVERY):
                await self._now.wait()
            self._now = trio.Event()
            if not self._connection.up:
                continue
            before = self.refusals()
            try:
                if self._acceleration.kind is None and not self._hopeless:
                    await self._acceleration.find_out(self._connection)
                await self._inspect()
                if self.refusals() != before:
                    self._ties.changed()
                await self._warm()
            except (Unavailable, driver.Error) as error:
                self._ties.log.debug("host %s is not looked at: %s", self._settings.name, error)

    async def _inspect(self) -> None:
        now = time.monotonic()
        try:
            self.conditions = await self._connection.call(
                partial(inspect, pool_name=self._settings.pool_name, wants=self.wants),
                deadline=DEADLINE,
            )
        except driver.Error as error:
            self._ties.log.warning(
                "host %s: what it has cannot be looked at: %s", self._settings.name, error
            )
        self._spoilt = {
            profile: (text, until) for profile, (text, until) in self._spoilt.items() if until > now
        }

    async def _warm(self) -> None:
        """Enter slots before they are needed: that takes libvirt a third of a second each."""
        if self._acceleration.kind == "test":
            return
        for name, facts in self.conditions.networks.items():
            most = sum(
                max(profile.max_count, profile.target_count)
                for key, profile in self._ties.profiles.items()
                if key in self.wants and self.wants[key].network == name and self.wants[key].fixed
            )
            for entry in self._slots.missing(facts, most):
                # whoever waits for a machine comes first
                while self._busy():  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(_CALM)
                await self._connection.call(
                    partial(assembly.enter, network=name, slot=Slot(entry=entry, entered=False)),
                    deadline=DEADLINE,
                    lane="images",
                )
