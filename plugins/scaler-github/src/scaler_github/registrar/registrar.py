"""The hooks of a source, for runners that are registered by REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from scaler import Message, Unavailable

if TYPE_CHECKING:
    from scaler import Context, Registration, Reservation, Runner
    from scaler_github.account import Accounts


class Registrar:
    """Registers, lists, reserves and removes."""

    def __init__(self, context: Context[Any, Any], accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts

    async def announce(self) -> None:
        """Tell the core that no jobs are known of: there is no queue here."""
        for profile in self._context.own:
            if self._context.profiles[profile].source == self._context.name:
                await self._context.deliver(Message(id="", profile=profile, demand=0, waiting=0))

    async def register(self, runner: Runner) -> Registration:
        """Register a runner."""
        raise Unavailable(f"{runner.name} cannot be registered by REST yet")

    async def unregister(self, runner: Runner) -> None:
        """Remove a runner."""
        await trio.lowlevel.checkpoint()

    async def registrations(self) -> list[Registration]:
        """Every runner of this scaler."""
        await trio.lowlevel.checkpoint()
        return []

    async def reserve(self, runner: Runner, reservation: Reservation | None) -> None:
        """Reserve a runner, or take it back."""
        raise Unavailable(f"{runner.name} cannot be reserved yet")
