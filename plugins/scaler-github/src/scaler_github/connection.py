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
    from scaler import Context, Registration, Reservation, Runner
    from scaler_github.account import Account


class GitHub:
    """The accounts, their credentials and connections; a source of runners without a queue.

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
        self.accounts = Accounts(context.config, context.config.connections)
        own = context.own.items()
        places = {f"profiles.{key}.{context.name}.connection": each.connection for key, each in own}
        self.accounts.check(places)
        self._registrar = Registrar(context, self.accounts)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Keep the connections open between the calls of all plugins."""
        async with trio.open_nursery() as nursery:
            for account in self.accounts:
                await nursery.start(_hold, account)
            nursery.start_soon(Watch(self._context, self.accounts).run, name="watch")
            nursery.start_soon(self._registrar.run, name="registrar")
            task_status.started()
            await self._context.stopping.wait()
            await self._registrar.ended()
            nursery.cancel_scope.cancel()

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
