"""The plugin: a server over the core's view."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from scaler import Context, Finding, SettingsChange, Unavailable, hookimpl
from scaler_monitor import settings
from scaler_monitor.api.metrics import Tally
from scaler_monitor.doors import Doors
from scaler_monitor.findings import findings
from scaler_monitor.inplace import refused, restarts, waiting
from scaler_monitor.page.live import Live
from scaler_monitor.serving.certificate import Certificate
from scaler_monitor.serving.listening import listening, url
from scaler_monitor.serving.renewing import Files
from scaler_monitor.serving.server import Server
from scaler_monitor.serving.tokens import Tokens
from scaler_monitor.site import Door, Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Job, Runner

PATIENCE = 10.0  # seconds that new settings wait for the files that they name


class Monitor:
    """Shows what there is, over HTTP.

    Attributes:
        addresses: Where it serves people now; empty while it does not.
        guest_addresses: Where it serves guests now.
    """

    api = "1.1"
    Config = settings.Config

    def __init__(self, context: Context[settings.Config, None]) -> None:
        self._context = context
        self.addresses: tuple[str, ...] = ()
        self.guest_addresses: tuple[str, ...] = ()
        self._text = ""
        self._tally = Tally()
        self._opened: settings.Config | None = None  # what it listens by
        self._doors: Doors | None = None
        self._files: Files | None = None

    @hookimpl
    async def on_job_changed(self, job: Job, before: Job | None) -> None:
        """Count what happens to jobs."""
        self._tally.job_changed(job, before)

    @hookimpl
    async def on_runner_changed(self, runner: Runner, before: Runner | None) -> None:
        """Count what happens to runners."""
        self._tally.runner_changed(runner, before)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Serve until the scaler stops. What cannot be listened on is tried again by the core."""
        context = self._context
        config = self._opened = context.config
        async with AsyncExitStack() as stack:
            stack.callback(self._left)
            try:
                certificate = await trio.to_thread.run_sync(Certificate.of, config.tls)
                people = await stack.enter_async_context(listening(config.listen))
                guests = await stack.enter_async_context(listening(config.guest_listen))
            except OSError as error:
                raise Unavailable(str(error)) from None
            tls = config.tls is not None
            self.addresses = tuple(url(each, tls=tls) for each in people)
            tls = config.tls is not None and config.tls.guests
            self.guest_addresses = tuple(url(each, tls=tls) for each in guests)
            live = await trio.to_thread.run_sync(Live, context)
            tokens = Tokens()
            site = Site(
                context,
                live,
                tokens=tokens,
                tally=self._tally,
                listens=(*config.listen, *config.guest_listen),
            )
            doors = Doors(site, _reachable(self.addresses[0]))
            openings = [
                *doors.openings(Door.PEOPLE, people, certificate),
                *doors.openings(Door.GUESTS, guests, certificate if tls else None),
            ]
            self._text = f"serves {', '.join(self.addresses)}"
            if self.guest_addresses:
                self._text += f", guests at {', '.join(self.guest_addresses)}"
            self._tell([])
            files = Files(lambda: context.config, tokens, certificate, self._tell)
            self._doors, self._files = doors, files  # from here on what is new is told to these
            await doors.renew()
            await files.look()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(files.keep)
                nursery.start_soon(live.run)
                task_status.started()
                await Server(context.log.logger).serve(openings, context.stopping)
                nursery.cancel_scope.cancel()

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Go by them from the next request on; no connection and no stream of events ends."""
        if self._opened is None:
            return []
        config, doors, files = self._context.config, self._doors, self._files
        found: list[str] = []
        if doors is not None and files is not None:
            unread = False
            if change.config:
                files.forget()
                await doors.renew()
                with trio.move_on_after(PATIENCE) as patience:
                    await files.look()
                unread = patience.cancelled_caught
            # (told on every call: an answer takes the place of the one before)
            found = waiting(config, PATIENCE) if unread else refused(config, files.refused)
        return found if self._opened is None else [*found, *restarts(self._opened, config)]

    @hookimpl
    async def check(self) -> list[Finding]:
        """Whether its files are there and fit to be used, and what is better not left as it is."""
        profiles = self._context.profiles.values()
        guests = [each.name for each in profiles if each.boot_script and each.max_count]
        return await trio.to_thread.run_sync(findings, self._context.config, guests)

    def _tell(self, troubles: Sequence[str]) -> None:
        """Its line on the dashboard."""
        text = "; ".join(troubles) or self._text
        for trouble in troubles:
            self._context.log.warning("%s", trouble)
        self._context.report(text, ok=not troubles, addresses=self.addresses)

    def _left(self) -> None:
        self.addresses = self.guest_addresses = ()
        self._opened = self._doors = self._files = None


def _reachable(address: str) -> str:
    """An address that a browser on this machine can open."""
    if address.startswith("unix:"):
        return "http://localhost/"
    return f"{address.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')}/"
