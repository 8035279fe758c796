"""A forge, and the plugin beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest
import trio

from scaler import Duration, Profile, Secret
from scaler.testing import FakeContext, Memory
from scaler_forgejo import ForgejoSource
from scaler_forgejo.settings import Config, ProfileConfig
from scaler_forgejo.testing import TOKEN, Forge, serve

Context: TypeAlias = FakeContext[Config, ProfileConfig]
Start: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[ForgejoSource, Context]]]


@pytest.fixture
async def forge(nursery: trio.Nursery) -> Forge:
    made = Forge()
    await nursery.start(serve, made)
    return made


@pytest.fixture
def start(forge: Forge) -> Start:
    """Start the plugin with these labels of its profiles, and stop it at the end."""

    @asynccontextmanager
    async def started(
        labels: dict[str, tuple[str, ...]] | None = None, memory: Memory | None = None
    ) -> AsyncIterator[tuple[ForgejoSource, Context]]:
        labels = labels or {"linux": ("linux",)}
        config = Config(url=forge.url, token=Secret(TOKEN), scope=forge.scope)
        # (quicker than a site may: nobody's server is asked here)
        object.__setattr__(config, "interval", Duration(0.05))
        context: Context = FakeContext(
            config,
            name="forgejo",
            profiles={name: Profile(name=name, max_count=9, source="forgejo") for name in labels},
            own={name: ProfileConfig(labels=each) for name, each in labels.items()},
            memory=memory,
        )
        plugin = ForgejoSource(context)
        async with trio.open_nursery() as nursery:
            await nursery.start(plugin.run_service)
            try:
                yield plugin, context
            finally:
                context.stopping.set()
                nursery.cancel_scope.deadline = trio.current_time() + 5

    return started
