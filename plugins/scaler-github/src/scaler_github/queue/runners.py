"""Runners of a scale set: registered, looked up and removed, as scaler's records."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from scaler import Registration, RunnerState, Unavailable
from scaler_github.client import Backoff, GitHubError, Kind, repeat
from scaler_github.places import number_in, to_ref
from scaler_github.runner import WORK_FOLDER, issued
from scaler_github.unanswered import Unanswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from scaler import Runner
    from scaler_github.account import Account
    from scaler_github.client.types import JitConfig

T = TypeVar("T")
_SPARE = {RunnerState.REGISTERED, RunnerState.BOOTING, RunnerState.IDLE}


def left_behind(runners: Iterable[Runner], profile: str, source: str) -> list[Runner]:
    """Of a profile's runners those that wait for a job, the oldest first."""
    spare: list[Runner] = []
    for runner in runners:
        registration = runner.registration
        if (runner.profile, runner.source) != (profile, source) or registration is None:
            continue
        if runner.state in _SPARE and not runner.job and not registration.busy:
            spare.append(runner)
    return sorted(spare, key=lambda runner: runner.id)


class Runners:
    """The runners of one account.

    Args:
        first: The first pause before something is read or deleted once more, in seconds.
    """

    def __init__(self, account: Account, first: float = 1.0) -> None:
        self._account = account
        self._actions = account.actions
        self._first = first
        self._unanswered: Unanswered[JitConfig] = Unanswered()

    async def register(self, scale_set: int, name: str) -> Registration:
        """Register a runner with a scale set and answer its just-in-time configuration."""
        generate = partial(self._actions.generate_jit_config, scale_set, name, WORK_FOLDER)
        try:
            try:
                made = await self._unanswered.ask(name, generate)
            except GitHubError as error:
                if error.kind is not Kind.EXISTS:
                    raise
                # An attempt whose answer was lost: its configuration is unknown, so of no use
                await self._remove_leftover(scale_set, name)
                made = await self._unanswered.ask(name, generate)
        except GitHubError as error:
            if error.kind is Kind.RETRY and error.verdict.status == 200:
                # It exists, but with a configuration that no runner could read
                with suppress(GitHubError, Unavailable):  # the core has it removed again
                    await self._remove_by_name(name)
            raise
        return issued(self._account, name, made.runner.id, made.encoded_jit_config)

    async def remove(self, name: str, ref: str = "") -> None:
        """Remove a runner, by its id where that is known; one that does not exist is removed."""
        if (number := number_in(self._account, ref)) is not None:
            await self._delete(name, number)
        else:
            await self._remove_by_name(name)

    async def is_there(self, number: int) -> bool:
        """Whether there is a runner of this number, also where lists do not show it yet."""
        return await self._repeat(partial(self._actions.agent, number)) is not None

    async def registrations(self, scaler: str) -> list[Registration]:
        """Every registration that carries this scaler's name."""
        return [
            Registration(
                name=agent.name,
                ref=to_ref(self._account, agent.id),
                online=agent.online,
                busy=agent.busy,
            )
            for agent in await self._repeat(
                partial(self._actions.agents, lambda name: name.endswith(f"@{scaler}"))
            )
        ]

    async def _remove_leftover(self, scale_set: int, name: str) -> None:
        agent = await self._repeat(partial(self._actions.agent_by_name, name))
        if agent is None:
            raise Unavailable(f"the name {name} is taken, but GitHub does not show by whom yet")
        if agent.runner_scale_set_id not in (0, scale_set):
            raise Unavailable(f"the name {name} belongs to a runner that is not ours")
        await self._delete(name, agent.id)

    async def _remove_by_name(self, name: str) -> None:
        agent = await self._repeat(partial(self._actions.agent_by_name, name))
        number = await self._unanswered.number(name) if agent is None else agent.id
        if number is not None:
            await self._delete(name, number)
        else:
            self._unanswered.forget(name)

    async def _delete(self, name: str, number: int) -> None:
        await self._repeat(partial(self._actions.delete_agent, number))
        self._unanswered.forget(name)

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        return await repeat(call, backoff=Backoff(self._first))
