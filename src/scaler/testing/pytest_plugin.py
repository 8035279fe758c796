"""Fixtures for tests of plugins. pytest finds them by itself, where scaler is installed.

Nothing but pytest is imported here until a fixture is used: whoever has both installed, and tests
something else, does not wait for scaler.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from scaler import testing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from scaler.testing import FakeContext, HookRecorder, Memory
    from scaler.testing.running import TestedScaler


@pytest.fixture
def scaler_context(tmp_path: Path) -> Callable[..., FakeContext[Any, Any]]:
    """Makes contexts: `scaler_context(Config(…), name="mine")`, as `FakeContext` does.

    Two contexts of one name and one scaler share their `Memory`, as two instances do of which the
    second comes after a crash of the first; its folder is below `tmp_path`.
    """
    memories: dict[tuple[str, str], Memory] = {}

    def make(config: Any = None, **more: Any) -> FakeContext[Any, Any]:
        name, scaler = more.get("name", "plugin"), more.get("scaler", "here")
        if "memory" not in more:
            folder = tmp_path / "plugins" / scaler / name
            more["memory"] = memories.setdefault((scaler, name), testing.Memory(folder))
        return testing.FakeContext(config, **more)

    return make


@pytest.fixture
def scaler_hooks() -> HookRecorder:
    """Remembers every call of a hook of the scaler that `scaler_run` runs."""
    return testing.HookRecorder()


@pytest.fixture
def scaler_run(
    tmp_path: Path, scaler_hooks: HookRecorder
) -> Callable[..., AbstractAsyncContextManager[TestedScaler]]:
    """Runs a whole scaler: `async with scaler_run(MyPlugin, settings="…") as scaler`.

    See `scaler.testing.run_scaler`; its state is below `tmp_path`, its calls in `scaler_hooks`.
    """
    return partial(testing.run_scaler, folder=tmp_path, hooks=scaler_hooks)
