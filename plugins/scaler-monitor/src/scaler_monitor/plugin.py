"""The plugin: a server over the core's view."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from scaler import Context, hookimpl
from scaler_monitor import app, settings
from scaler_monitor.serving import server
from scaler_monitor.serving.proxies import Proxies
from scaler_monitor.serving.tokens import Tokens
from scaler_monitor.site import Site

if TYPE_CHECKING:
    import trio


class Monitor:
    """Shows what there is, over HTTP.

    Attributes:
        addresses: Where it serves now; empty while it does not.
    """

    Config = settings.Config

    def __init__(self, context: Context[settings.Config, None]) -> None:
        self._context = context
        self.addresses: tuple[str, ...] = ()

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Serve until the scaler stops. What cannot be listened on is tried again by the core."""
        context = self._context
        async with AsyncExitStack() as stack:
            try:
                opened = server.listening(context.config.listen)
                listeners = await stack.enter_async_context(opened)
            except OSError as error:
                context.report(str(error), ok=False)
                raise
            self.addresses = tuple(map(server.url, listeners))
            stack.callback(self._left)
            text = f"serves {', '.join(self.addresses)}"
            context.log.info("%s", text)
            context.report(text, addresses=self.addresses)
            config = context.config
            site = Site(
                context,
                base_url=config.base_url or f"{self.addresses[0]}/",
                tokens=Tokens(config.token),
                proxies=Proxies(config.trusted_proxies),
            )
            built = app.build(site)
            task_status.started()
            await server.serve(built, listeners, context.stopping, context.log.logger)

    def _left(self) -> None:
        self.addresses = ()
