"""An HTTP proxy in the network in memory, which may refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from tests.faults.network import Network

PORT = 3128
REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
WELCOME = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Proxy:
    """Tunnels to wherever it is asked to; while `refuses`, to nowhere.

    Attributes:
        asked: When it was asked for each tunnel.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.refuses = False
        self.asked: list[float] = []

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        listeners = await self._network.listen(PORT)
        task_status.started()
        await trio.serve_listeners(self._tunnel, listeners)

    async def _tunnel(self, stream: trio.abc.Stream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := await stream.receive_some()):
                    return
                head += data
            self.asked.append(trio.current_time())
            if self.refuses:
                await stream.send_all(REFUSAL)
                return
            _, target, _ = head.decode().split("\r\n")[0].split(" ")
            host, _, port = target.rpartition(":")
            far = await self._network.open(host, int(port))
            await stream.send_all(WELCOME)
            async with far, trio.open_nursery() as nursery:
                nursery.start_soon(_pipe, stream, far, nursery.cancel_scope)
                nursery.start_soon(_pipe, far, stream, nursery.cancel_scope)


async def _pipe(
    source: trio.abc.ReceiveStream, sink: trio.abc.SendStream, both: trio.CancelScope
) -> None:
    try:
        while data := await source.receive_some():
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    both.cancel()
