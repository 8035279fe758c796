"""Whether a host's machines run with KVM or are emulated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from scaler import Unavailable
from scaler_libvirt.hosts import driver, probe
from scaler_libvirt.hosts.base import CannotBeMadeError

if TYPE_CHECKING:
    import logging

    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.machine.shape import DomainType
    from scaler_libvirt.settings import HostSettings

GUEST = 20.0  # seconds that a guest may take; on a sound KVM it is a fraction of one
_STARTING = 120.0  # seconds for all of it: QEMU may look at KVM for over a minute first

FINDING_OUT = "it is being found out whether KVM works there"


class Memory(Protocol):
    """Where small facts are kept: a plugin's Context is one."""

    async def load(self, key: str) -> object: ...  # noqa: D102
    async def save(self, key: str, value: object) -> None: ...  # noqa: D102


class Acceleration:
    """How one host runs machines: as the settings say, or as a guest that booted has shown.

    What worked is remembered for the same hypervisor in the same version; what did not is tried
    anew when scaler starts, since someone may have mended it.

    Attributes:
        kind: How; None while that is not known.
        text: What was seen, where it had to be found out and KVM does not work.
    """

    def __init__(
        self,
        settings: HostSettings,
        scaler: str,
        memory: Memory,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._settings = settings
        self._scaler = scaler
        self._memory = memory
        self._log = log
        self.kind: DomainType | None = None
        self.text = ""
        self._doubted = False  # whether what is remembered does not count any more

    def given(self, facts: driver.Facts) -> bool:
        """Take what is known without booting anything; whether that is enough.

        Raises:
            ValueError: No machines are made on such a hypervisor.
        """
        match facts.driver.upper(), self._settings.acceleration:
            case "TEST", _:
                self.kind = "test"
            case "QEMU", "kvm":
                self.kind = "kvm"
            case "QEMU", "none":
                self.kind = "qemu"
            case "QEMU", _:
                pass
            case other, _:
                raise ValueError(f"no machines are made on {other} hypervisors")
        return self.kind is not None

    def doubt(self, text: str) -> bool:
        """A machine could not be made: whether it is to be found out anew, by what was said."""
        if self.kind != "kvm" or self._settings.acceleration != "auto" or "kvm" not in text.lower():
            return False
        self.kind = None
        self._doubted = True
        return True

    async def find_out(self, connection: Connection) -> None:
        """Boot, unless it is remembered. Where it cannot be tried now, nothing is known after.

        Raises:
            Unavailable: The host cannot be asked now.
        """
        where = await connection.call(probe.machine_key, deadline=_STARTING, lane="images")
        key = f"kvm/{self._settings.name}"
        if not self._doubted and await self._memory.load(key) == where:
            self.kind = "kvm"
            return
        try:
            verdict = await connection.call(
                partial(
                    probe.probe,
                    scaler=self._scaler,
                    pool=self._settings.pool_name,
                    within=GUEST,
                ),
                deadline=_STARTING,
                lane="images",
            )
        except (CannotBeMadeError, driver.NoSpaceError) as error:
            self._log.info("host %s: KVM cannot be tried: %s", connection.name, error)
            return
        except driver.Error as error:
            verdict = probe.Verdict(works=False, text=str(error))
        self.kind = "kvm" if verdict.works else "qemu"
        self.text = "" if verdict.works else f"no KVM, so guests are emulated: {verdict.text}"
        self._log.info("host %s: KVM %s: %s", connection.name, verdict.works, verdict.text)
        if verdict.works or self._doubted:
            try:
                await self._memory.save(key, where if verdict.works else "")
            except Unavailable as error:  # it is found out again at the next start
                self._log.warning("host %s: that KVM works is not kept: %s", connection.name, error)
        self._doubted = False
