"""Runners of a scale set: registered, looked up and removed, as scaler's records."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scaler import Busy, Registration, Secret, Unavailable
from scaler_github.client import Actions, GitHubError, Kind, repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

WORK_FOLDER = "_work"
# Nobody promises more; users saw an unused configuration die after an hour (actions/runner#4248)
CONFIG_LASTS = 45 * 60.0


@contextmanager
def outcomes() -> Iterator[None]:
    """Turn the client's failures into the outcomes that the core knows."""
    try:
        yield
    except GitHubError as error:
        if error.kind is Kind.BUSY:
            raise Busy(str(error)) from None
        if error.kind is Kind.BUG:
            raise
        raise Unavailable(str(error), error.wait or None) from None


async def register(actions: Actions, scale_set: int, name: str) -> Registration:
    """Register a runner and answer its just-in-time configuration."""
    try:
        try:
            made = await actions.generate_jit_config(scale_set, name, WORK_FOLDER)
        except GitHubError as error:
            if error.kind is not Kind.EXISTS:
                raise
            # An attempt whose answer was lost: its configuration is unknown, so it is of no use
            await _remove_leftover(actions, scale_set, name)
            made = await actions.generate_jit_config(scale_set, name, WORK_FOLDER)
    except GitHubError as error:
        if error.kind is Kind.RETRY and error.verdict.status == 200:
            # It exists, but with a configuration that no runner could read
            await remove_by_name(actions, name)
        raise
    return Registration(
        name=name,
        ref=str(made.runner.id),
        config=Secret(made.encoded_jit_config),
        expires=time.time() + CONFIG_LASTS,
        online=False,
        busy=False,
    )


async def _remove_leftover(actions: Actions, scale_set: int, name: str) -> None:
    agent = await repeat(lambda: actions.agent_by_name(name))
    if agent is None:
        return
    if agent.runner_scale_set_id not in (0, scale_set):
        raise Unavailable(f"the name {name} belongs to a runner that is not ours")
    await repeat(lambda: actions.delete_agent(agent.id))


async def remove(actions: Actions, name: str, ref: str) -> None:
    """Remove a runner, by its id where that is known; one that does not exist is removed."""
    if ref.isascii() and ref.isdigit():
        await repeat(lambda: actions.delete_agent(int(ref)))
    else:
        await remove_by_name(actions, name)


async def remove_by_name(actions: Actions, name: str) -> None:
    """Look a runner up and remove it."""
    agent = await repeat(lambda: actions.agent_by_name(name))
    if agent is not None:
        await repeat(lambda: actions.delete_agent(agent.id))


async def registrations(actions: Actions, scaler: str) -> list[Registration]:
    """Every registration that carries this scaler's name."""
    return [
        Registration(name=agent.name, ref=str(agent.id), online=agent.online, busy=agent.busy)
        for agent in await repeat(actions.agents)
        if agent.name.rpartition("@")[2] == scaler and "@" in agent.name
    ]
