"""The plugin: a server over the core's view."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from scaler import Context, Finding, Unavailable, hookimpl
from scaler_monitor import app, settings
from scaler_monitor.api.metrics import Tally
from scaler_monitor.findings import findings
from scaler_monitor.page.live import Live
from scaler_monitor.serving.certificate import Certificate
from scaler_monitor.serving.listening import Listener, is_unix, listening, url
from scaler_monitor.serving.places import Places
from scaler_monitor.serving.proxies import Proxies
from scaler_monitor.serving.renewing import keep_new
from scaler_monitor.serving.server import Opening, Server
from scaler_monitor.serving.tokens import Tokens
from scaler_monitor.site import Door, Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Job, Runner

PLACES = {Door.PEOPLE: (512, 256), Door.GUESTS: (256, 32)}
"""Connections in all and from one address: many browsers may be behind one, and guests are not."""


class Monitor:
    """Shows what there is, over HTTP.

    Attributes:
        addresses: Where it serves people now; empty while it does not.
        guest_addresses: Where it serves guests now.
    """

    api = "1.0"
    Config = settings.Config

    def __init__(self, context: Context[settings.Config, None]) -> None:
        self._context = context
        self.addresses: tuple[str, ...] = ()
        self.guest_addresses: tuple[str, ...] = ()
        self._text = ""
        self._tally = Tally()

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
        context, config = self._context, self._context.config
        async with AsyncExitStack() as stack:
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
            stack.callback(self._left)
            tokens = await trio.to_thread.run_sync(Tokens, config.token)
            live = await trio.to_thread.run_sync(Live, context)
            site = Site(
                context,
                live,
                base_url=config.base_url or _reachable(self.addresses[0]),
                tokens=tokens,
                proxies=Proxies(config.trusted_proxies),
                tally=self._tally,
            )
            openings = [
                *_openings(site, Door.PEOPLE, people, certificate),
                *_openings(site, Door.GUESTS, guests, certificate if tls else None),
            ]
            self._text = f"serves {', '.join(self.addresses)}"
            if self.guest_addresses:
                self._text += f", guests at {', '.join(self.guest_addresses)}"
            context.log.info("%s", self._text)
            self._tell([])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_new, tokens, certificate, self._tell)
                nursery.start_soon(live.run)
                task_status.started()
                await Server(context.log.logger).serve(openings, context.stopping)
                nursery.cancel_scope.cancel()

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


def _openings(
    site: Site, door: Door, listeners: Sequence[Listener], certificate: Certificate | None
) -> list[Opening]:
    built = app.build(site, door)
    places = Places(*PLACES[door])
    if door is Door.PEOPLE:
        places = Places(*PLACES[door], exempt=lambda peer: not peer or site.proxies.trusts(peer))
    return [
        Opening(each, built, places, None if is_unix(each) else certificate) for each in listeners
    ]


def _reachable(address: str) -> str:
    """An address that a browser on this machine can open."""
    if address.startswith("unix:"):
        return "http://localhost/"
    return f"{address.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')}/"
