"""Importing plugins and refusing those that could not work, all at once."""

from __future__ import annotations

import importlib.util
import inspect
import signal
import sys
import traceback
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler.errors import FatalError, PluginError
from scaler.loading.find import Found, find, lookup
from scaler.loading.names import did_you_mean
from scaler.loading.verify import hooks_of, marked, unmarked, written_for, wrongs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin's class, imported and verified.

    Attributes:
        name: What the settings call it.
        dist, version: The distribution that brought it; empty for files and classes.
        hooks: The hooks that it implements.
        api: The version of the plugin API that it says it is written for; empty where it says none.
        config, profile_config: Its `Config` and `ProfileConfig`, where it has them.
    """

    name: str
    cls: type[Any]
    dist: str
    version: str
    hooks: frozenset[str]
    config: type[Any] | None
    profile_config: type[Any] | None
    api: str = ""

    @property
    def only_where_named(self) -> bool:
        """Whether it serves only profiles that carry its table, beside others that could.

        A plugin says so by a class attribute of this name: it is enabled for another reason, too.
        """
        return bool(getattr(self.cls, "only_where_named", False))


def load_classes(
    names: Iterable[str],
    *,
    plugin_dir: Path | None = None,
    extra: Mapping[str, type[Any]] | None = None,
    place: Callable[[str], str] = "plugin {}: ".format,
) -> dict[str, LoadedPlugin]:
    """Import and verify these plugins and no others, in the order given.

    Args:
        names: What the settings call them.
        plugin_dir, extra: Where more of them are.
        place: How to begin what is told of a name that nobody has, or that several have.

    Raises:
        PluginError: Some cannot be used; every reason of every one is told.
    """
    known, loaded, wrong = find(plugin_dir, extra), {}, []
    for name in names:
        try:
            loaded[name] = load_one(name, known, place)
        except PluginError as error:
            wrong.append(str(error))
    if wrong:
        raise PluginError("\n".join(wrong))
    return loaded


def load_one(
    name: str,
    known: Mapping[str, list[Found]],
    place: Callable[[str], str] = "plugin {}: ".format,
) -> LoadedPlugin:
    """Import and verify one plugin.

    Raises:
        PluginError: It is not known, known twice, cannot be imported, or has wrong hooks.
    """
    if why := unusable(name, known):
        raise PluginError(f"{place(name)}{why}")
    [found] = lookup(name, known)
    cls = _import(found)
    if wrong := wrongs(cls):
        raise PluginError("\n".join(f"plugin {name}: {text}" for text in wrong))
    return LoadedPlugin(
        name=name,
        cls=cls,
        dist=found.dist,
        version=found.version,
        hooks=frozenset(hooks_of(cls)),
        config=getattr(cls, "Config", None),
        profile_config=getattr(cls, "ProfileConfig", None),
        api=written_for(cls),
    )


def unusable(name: str, known: Mapping[str, list[Found]]) -> str:
    """Why nobody can be meant by a name, without importing anything; empty where somebody is."""
    several = lookup(name, known)
    if not several:
        hint = did_you_mean(name, known)
        listed = ", ".join(known) or "none"
        return f"there is none of this name{hint}; known: {listed} (is its distribution installed?)"
    if len(several) > 1:
        places = " and ".join(each.origin for each in several)
        return f"several have this name: {places}"
    return ""


def build(plugin: LoadedPlugin, context: Any) -> Any:
    """Make the plugin.

    Raises:
        PluginError: Its constructor raised.
    """
    with _told(plugin, "built"):
        return plugin.cls(context)


def validate(plugin: LoadedPlugin, instance: object) -> None:
    """Have it say what is wrong between it and its siblings, where it has a `validate`.

    Raises:
        FatalError: It says so, or raised something else.
    """
    method = getattr(instance, "validate", None)
    if not callable(method):
        return
    with _told(plugin, "validated"):
        answer = method()
    if answer is not None:
        if inspect.iscoroutine(answer):
            answer.close()
        raise PluginError(f"plugin {plugin.name}: validate() is no plain method that answers None")


@contextmanager
def _told(plugin: LoadedPlugin, what: str) -> Iterator[None]:
    """Whatever it raises is told as what it is: the plugin's error, and where it was raised."""
    try:
        yield
    except FatalError:
        raise
    except BaseException as error:
        if _interrupted(error):
            raise
        place = _place(error, plugin.cls.__module__)
        raise PluginError(
            f"plugin {plugin.name}: cannot be {what}: {_words(error)}{place}"
        ) from error


def _import(found: Found) -> Any:
    if found.cls is not None:
        return found.cls
    own = found.entry_point.module if found.entry_point else str(found.file)
    try:
        if found.entry_point is not None:
            return found.entry_point.load()
        assert found.file is not None
        return _class_in(found.file)
    except PluginError as error:
        raise PluginError(f"plugin {found.name}: {error}") from None
    except BaseException as error:
        if _interrupted(error):
            raise
        place = _place(error, own)
        raise PluginError(
            f"plugin {found.name}: cannot be imported: {_words(error)}{place}"
        ) from error


def _class_in(file: Path) -> Any:
    """Import one file under a name of its own; its only class with hooks is the plugin."""
    folder = zlib.crc32(str(file.parent).encode())
    name = f"scaler_plugin_dir_{folder:08x}_{file.stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and annotations look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == name
    ]
    classes = [cls for cls in own if marked(cls)]
    if not classes and (wrong := [text for cls in own for text in unmarked(cls)]):
        raise PluginError(f"{file}: {'; '.join(wrong)}")
    if len(classes) != 1:
        listed = ", ".join(cls.__name__ for cls in classes) or "none"
        raise PluginError(
            f"{file}: wanted exactly one class with @hookimpl methods, found {listed}"
        )
    return classes[0]


def _interrupted(error: BaseException) -> bool:
    """Whether it is a Ctrl-C, and none that the plugin made up: where someone raises it for one."""
    handler = signal.getsignal(signal.SIGINT)
    trios = getattr(handler, "__module__", "").startswith("trio.")
    raises = handler is signal.default_int_handler or trios
    return isinstance(error, KeyboardInterrupt) and raises


def _words(error: BaseException) -> str:
    """The error in one line, as Python says it."""
    try:
        text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
    except BaseException:  # its words are a plugin's, too
        text = ""
    return ": ".join([type(error).__name__, *filter(None, [" ".join(text.split())])])


def _place(error: BaseException, own: str) -> str:
    """` (FILE:LINE)` of the plugin's own last line, else of the last line at all."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    package = own.partition(".")[0]
    last = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__", ""))
        if file == own or module.partition(".")[0] == package:
            last = f" ({file}:{line})"
    return last
