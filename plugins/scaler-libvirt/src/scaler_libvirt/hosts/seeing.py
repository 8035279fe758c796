"""What a person may see of a host's machines: their screens, and what they wrote."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt.hosts import assembly, driver
from scaler_libvirt.hosts.base import PoolTroubleError
from scaler_libvirt.hosts.redact import cut
from scaler_libvirt.machine.names import tag_of

if TYPE_CHECKING:
    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.hosts.roster import Roster

LOG = 64 << 10  # bytes of a serial log's end


class Seeing:
    """See the module.

    Args:
        connection: To the host.
        scaler: Whose machines may be seen.
        pool: Where logs are; empty where there are none.
        roster: Who is there, and who was.

    Attributes:
        pool: See above.
    """

    def __init__(self, connection: Connection, scaler: str, pool: str, roster: Roster) -> None:
        self._connection = connection
        self._scaler = scaler
        self._tag = tag_of(scaler)
        self.pool = pool
        self._roster = roster
        self._pictures: dict[str, _Picture] = {}

    async def tail(self, runner: int | None, uuid: str, limit: int) -> bytes:
        """See `Host.tail`."""
        if not self.pool:
            return b""
        try:
            text = await self._connection.call(
                partial(
                    assembly.log_tail,
                    tag=self._tag,
                    pool=self.pool,
                    runner=runner,
                    uuid=uuid,
                    limit=limit,
                ),
                deadline=self._connection.pace.look,
            )
        except PoolTroubleError as error:
            raise Unavailable(f"host {self._connection.name}: {error}") from error
        seen = self._roster.get(uuid) or self._roster.was(uuid)
        digests = () if seen is None else (seen.identity.key_sha256, seen.identity.config_sha256)
        # (a job chose these words, and with them how long it takes to look through them)
        return await trio.to_thread.run_sync(cut, text, digests)

    async def screenshot(self, uuid: str) -> bytes | None:
        """See `Host.screenshot`."""
        picture = self._pictures.get(uuid)
        if picture is not None:
            await picture.taken.wait()
            if picture.png is not None:
                return picture.png
        picture = self._pictures[uuid] = _Picture()
        try:
            picture.png = await self._connection.call(
                partial(driver.screenshot, uuid=uuid, scaler=self._scaler),
                deadline=self._connection.pace.screenshot,
                lane="pictures",
            )
            return picture.png
        finally:
            if self._pictures.get(uuid) is picture:
                del self._pictures[uuid]
            picture.taken.set()


class _Picture:
    """A screenshot that is being taken."""

    def __init__(self) -> None:
        self.taken = trio.Event()
        self.png: bytes | None = None
