"""Making the plugins: each with a Context of its own, before there is an engine behind it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from scaler import log as logs
from scaler.context import Context
from scaler.loading import build

if TYPE_CHECKING:
    from collections.abc import Mapping

    import trio

    from scaler.engine import Engine
    from scaler.loading import LoadedPlugin
    from scaler.settings import Settings


class Link:
    """Stands for the engine while plugins are built: they get their Context before it exists."""

    def __init__(self) -> None:
        self.engine: Engine | None = None

    def __getattr__(self, name: str) -> Any:
        if self.engine is None:
            raise RuntimeError(f"Context.{name} cannot be used before run_service or a hook")
        return getattr(self.engine, name)


def build_all(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    link: Link,
    stopping: trio.Event,
    *,
    folders: bool = True,
) -> dict[str, object]:
    """Make the plugins, each with a Context of its own."""
    plugins: dict[str, object] = {}
    for name, plugin in loaded.items():
        folder = settings.state_dir / "plugins" / name
        if folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        context: Context[Any, Any] = Context(
            name=name,
            scaler=settings.name,
            config=settings.plugins.get(name),
            profiles=settings.profiles,
            own=settings.own.get(name, {}),
            folder=folder,
            log=logs.plugin_log(name),
            stopping=stopping,
            core=link,
        )
        plugins[name] = build(plugin, context)
    return plugins


def siblings(
    plugins: Mapping[str, object], loaded: Mapping[str, LoadedPlugin]
) -> dict[str, dict[type[Any], Any]]:
    """For each plugin, the instances of its own distribution by class."""
    return {
        name: {
            type(plugins[other]): plugins[other]
            for other in loaded
            if loaded[other].dist == loaded[name].dist
        }
        for name in loaded
    }


def kin(loaded: Mapping[str, LoadedPlugin]) -> dict[str, set[str]]:
    """For each plugin, the names of those of its distribution."""
    return {
        name: {other for other in loaded if loaded[other].dist == plugin.dist}
        for name, plugin in loaded.items()
    }


def origin(plugin: LoadedPlugin) -> str:
    """Where a plugin is from, as one line of the log says it."""
    if plugin.dist:
        return f"{plugin.name}: {plugin.dist} {plugin.version}"
    return f"{plugin.name}: {getattr(sys.modules.get(plugin.cls.__module__), '__file__', '?')}"
