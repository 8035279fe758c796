"""Runners of a scale set: registered, looked up and removed, as scaler's records."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from scaler import Registration, Secret, Unavailable
from scaler_github.client import Backoff, GitHubError, Kind, repeat
from scaler_github.places import number_in, to_ref

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler_github.account import Account

T = TypeVar("T")
WORK_FOLDER = "_work"
# Nobody promises more; users saw an unused configuration die after an hour (actions/runner#4248)
CONFIG_LASTS = 45 * 60.0


class Runners:
    """The runners of one account.

    Args:
        first: The first pause before something is read or deleted once more, in seconds.
    """

    def __init__(self, account: Account, first: float = 1.0) -> None:
        self._account = account
        self._actions = account.actions
        self._first = first

    async def register(self, scale_set: int, name: str) -> Registration:
        """Register a runner with a scale set and answer its just-in-time configuration."""
        generate = partial(self._actions.generate_jit_config, scale_set, name, WORK_FOLDER)
        try:
            try:
                made = await generate()
            except GitHubError as error:
                if error.kind is not Kind.EXISTS:
                    raise
                # An attempt whose answer was lost: its configuration is unknown, so of no use
                await self._remove_leftover(scale_set, name)
                made = await generate()
        except GitHubError as error:
            if error.kind is Kind.RETRY and error.verdict.status == 200:
                # It exists, but with a configuration that no runner could read
                await self._remove_by_name(name)
            raise
        return Registration(
            name=name,
            ref=to_ref(self._account, made.runner.id),
            config=Secret(made.encoded_jit_config),
            expires=time.time() + CONFIG_LASTS,
            online=False,
            busy=False,
        )

    async def remove(self, name: str, ref: str = "") -> None:
        """Remove a runner, by its id where that is known; one that does not exist is removed."""
        if (number := number_in(self._account, ref)) is not None:
            await self._repeat(partial(self._actions.delete_agent, number))
        else:
            await self._remove_by_name(name)

    async def is_there(self, name: str) -> bool:
        """Whether there is a runner of this name."""
        return await self._repeat(partial(self._actions.agent_by_name, name)) is not None

    async def registrations(self, scaler: str) -> list[Registration]:
        """Every registration that carries this scaler's name."""
        return [
            Registration(
                name=agent.name,
                ref=to_ref(self._account, agent.id),
                online=agent.online,
                busy=agent.busy,
            )
            for agent in await self._repeat(self._actions.agents)
            if "@" in agent.name and agent.name.rpartition("@")[2] == scaler
        ]

    async def _remove_leftover(self, scale_set: int, name: str) -> None:
        agent = await self._repeat(partial(self._actions.agent_by_name, name))
        if agent is None:
            return
        if agent.runner_scale_set_id not in (0, scale_set):
            raise Unavailable(f"the name {name} belongs to a runner that is not ours")
        await self._repeat(partial(self._actions.delete_agent, agent.id))

    async def _remove_by_name(self, name: str) -> None:
        agent = await self._repeat(partial(self._actions.agent_by_name, name))
        if agent is not None:
            await self._repeat(partial(self._actions.delete_agent, agent.id))

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        return await repeat(call, backoff=Backoff(self._first))
