"""The plugin `github`: how to sign in, for all plugins here; and runners registered by REST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from scaler import Finding, hookimpl
from scaler_github import setup
from scaler_github.account import Accounts, Connection
from scaler_github.account.watch import Watch
from scaler_github.registrar import Registrar

if TYPE_CHECKING:
    from scaler import Context, Registration, Reservation, Runner, SettingsChange
    from scaler_github.account import Account

_LOOKING = 10.0  # seconds for reading tokens anew, while whoever changed the settings waits


class GitHub:
    """The accounts, their credentials and connections; a source of runners without a queue.

    A setting that changes while it runs counts from the next call on, but for those of a connection
    that say where it leads.

    Attributes:
        only_where_named: It is enabled for its accounts: a profile that names no source belongs to
            a queue.
    """

    api = "1.0"
    only_where_named = True

    @dataclass(frozen=True)
    class Config(Connection):
        """`[plugins.github]`.

        Attributes:
            url: An organization, a repository or an enterprise, as a browser shows it.
            token: A token that may register runners with it; its file is read again when it
                changes.
            app: A GitHub App in place of a token.
            proxy: An HTTP proxy; otherwise HTTPS_PROXY and NO_PROXY count.
            ca_file: More certificate authorities to trust, beside the system's.
            api_cache_timeout: How old the list of runners that were registered by REST may be.
            connections: More accounts by name; a profile chooses one by `connection = "NAME"`.
        """

        connections: Mapping[str, Connection] = field(default_factory=dict)

    @dataclass(frozen=True)
    class ProfileConfig:
        """`[profiles.X.github]`.

        Attributes:
            runner_group: The runner group that its runners belong to.
            connection: Which account of `[plugins.github.connections]`; the first where left out.
        """

        runner_group: str = "default"
        connection: str = ""

    def __init__(self, context: Context[Config, ProfileConfig]) -> None:
        self._context = context
        self._taken = context.config
        self._accounts = Accounts(context.config, context.config.connections)
        self._restart: list[str] = []
        self._held: set[str] = set()
        self._holding: trio.Nursery | None = None
        own = context.own.items()
        places = {f"profiles.{key}.{context.name}.connection": each.connection for key, each in own}
        self._accounts.check(places)
        self._watch = Watch(context, self._accounts)
        self._registrar = Registrar(context, lambda: self.accounts)

    @property
    def accounts(self) -> Accounts:
        """The accounts, by the settings as they are now: whoever is told of these first asks."""
        config = self._context.config
        if config is not self._taken:
            self._taken = config
            restart, renewed = self._accounts.take(config, config.connections)
            self._restart = [f"plugins.{self._context.name}.{text}" for text in restart]
            for name in renewed:
                self._watch.replaced(self._accounts[name])
        return self._accounts

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Sign in by the new credentials, and open new connections."""
        accounts = self.accounts
        if self._holding is not None:
            await self._hold(accounts, self._holding)
        self._registrar.announce(change.added)
        if change.config:
            with trio.move_on_after(_LOOKING):
                await self._watch.now()
        return list(self._restart)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Keep the connections open between the calls of all plugins."""
        async with trio.open_nursery() as nursery:
            self._held = set()
            await self._hold(self.accounts, nursery)
            self._holding = nursery
            try:
                nursery.start_soon(self._watch.run, name="watch")
                nursery.start_soon(self._registrar.run, name="registrar")
                task_status.started()
                await self._context.stopping.wait()
                await self._registrar.ended()
            finally:
                self._holding = None
            nursery.cancel_scope.cancel()

    async def _hold(self, accounts: Accounts, nursery: trio.Nursery) -> None:
        for account in accounts:
            if account.name not in self._held:
                self._held.add(account.name)
                await nursery.start(_hold, account)

    @hookimpl
    async def check(self) -> list[Finding]:
        """Whether each account can be signed in to, and may do what registering runners takes."""
        return await setup.check(self._context, self.accounts)

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        """Register a runner with its profile's labels."""
        return await self._registrar.register(runner)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        """Remove a runner, by its id or by its name."""
        await self._registrar.unregister(runner)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        """All runners of this scaler that GitHub knows, but those of other sources."""
        return await self._registrar.registrations()

    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        """Label a runner as reserved, or take that back."""
        await self._registrar.reserve(runner, reservation)


async def _hold(account: Account, *, task_status: trio.TaskStatus[None]) -> None:
    async with account.open():
        task_status.started()
        await trio.sleep_forever()
