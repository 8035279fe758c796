"""Making the plugins: each with a Context of its own, before there is an engine behind it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from scaler import log as logs
from scaler.context import Context
from scaler.errors import FatalError, PluginError, SettingsError
from scaler.loading import build, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(frozen=True)
class Built:
    """The plugins, and the Context that each was made with, by their names."""

    plugins: dict[str, object] = field(default_factory=dict)
    contexts: dict[str, Context[Any, Any]] = field(default_factory=dict)


def build_all(
    settings: Settings,
    loaded: Mapping[str, LoadedPlugin],
    link: Link,
    stopping: trio.Event,
    *,
    folders: bool = True,
) -> Built:
    """Make the plugins, each with a Context of its own.

    Raises:
        FatalError: Some refuse their settings, or cannot be made; all that is wrong is told.
    """
    built, errors = Built(), []
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
        built.contexts[name] = context
        try:
            built.plugins[name] = build(plugin, context)
        except FatalError as error:
            errors.append(error)
    if errors:
        raise _all_of(errors)
    return built


def _all_of(errors: list[FatalError]) -> FatalError:
    """One error that tells all that these tell."""
    if len(errors) == 1:
        return errors[0]
    settings = [each for each in errors if isinstance(each, SettingsError)]
    if len(settings) == len(errors):
        return SettingsError([text for each in settings for text in each.problems])
    return PluginError("\n".join(map(str, errors)))


def try_all(settings: Settings, loaded: Mapping[str, LoadedPlugin]) -> None:
    """Make the plugins in vain, to see what they say of their settings.

    Their contexts lead to each other and nowhere else, and there may be no folders.

    Raises:
        FatalError: Some refuse their settings, or cannot be made; all that is wrong is told.
    """
    link = Link()
    plugins = build_all(settings, loaded, link, trio.Event(), folders=False).plugins
    link.engine = Bare(siblings(plugins, loaded))  # type: ignore[assignment]
    validate_all(plugins, loaded)


def validate_all(plugins: Mapping[str, object], loaded: Mapping[str, LoadedPlugin]) -> None:
    """Have the plugins say what is wrong between them. Their contexts know the siblings.

    Raises:
        FatalError: Something is; all of it is told.
    """
    errors = []
    for name, plugin in plugins.items():
        try:
            validate(loaded[name], plugin)
        except FatalError as error:
            errors.append(error)
    if errors:
        raise _all_of(errors)


class Bare:
    """What stands behind a Context while nothing runs: siblings, and nothing else."""

    def __init__(self, siblings: Mapping[str, Mapping[type[Any], Any]]) -> None:
        self._siblings = siblings

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        """See `Context.plugin`."""
        return sibling(self._siblings, plugin, cls)

    def report(self, *_args: Any) -> None:
        """Nobody looks."""

    async def load(self, *_args: Any) -> None:
        """Nothing is remembered."""
        await trio.lowlevel.checkpoint()

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"Context.{name} cannot be used now: nothing runs")


def sibling(known: Mapping[str, Mapping[type[Any], Any]], plugin: str, cls: type[Any]) -> Any:
    """A plugin's sibling by its class.

    Raises:
        LookupError: There is none.
    """
    try:
        return known[plugin][cls]
    except KeyError:
        raise LookupError(
            f"{plugin} needs {cls.__name__}, which is not enabled or not of its distribution"
        ) from None


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
