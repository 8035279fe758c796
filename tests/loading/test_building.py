"""Plugins are built with their context, and registered in the settings' order."""

from __future__ import annotations

from typing import Any

import pytest

from scaler import PluginError, hookimpl
from scaler.loading import build, find, load_classes, load_one, register


class Plain:
    def __init__(self, context: object) -> None:
        self.context = context


class Watcher(Plain):
    @hookimpl
    async def on_message(self, message: object) -> None: ...
    @hookimpl
    def check(self) -> None: ...


def test_a_constructor_that_raises_names_its_plugin() -> None:
    class Broken(Watcher):
        def __init__(self, context: object) -> None:
            raise RuntimeError("no\nway")

    loaded = load_one("x", find(extra={"x": Broken}))
    with pytest.raises(
        PluginError, match=r"plugin x: cannot be built: RuntimeError: no way \(.*\)"
    ):
        build(loaded, None)


def test_a_plugin_is_built_with_its_context() -> None:
    context = object()
    assert build(load_one("x", find(extra={"x": Watcher})), context).context is context


def test_plugins_are_called_in_the_order_given_under_their_names() -> None:
    manager = register({name: Watcher(None) for name in ("b", "a", "c")})
    impls = manager.hook.on_message.get_hookimpls()
    assert [impl.plugin_name for impl in reversed(impls)] == ["b", "a", "c"]
    assert [impl.argnames for impl in impls] == [("message",)] * 3
    assert manager.hook.check.get_hookimpls()
    assert not manager.hook.capacity.get_hookimpls()


def test_two_registries_know_nothing_of_each_other() -> None:
    first, second = register({"a": Watcher(None)}), register({})
    assert first.has_plugin("a")
    assert not second.has_plugin("a")


def test_what_pluggy_refuses_is_a_plugin_error() -> None:
    class Sly(Watcher):
        def __init__(self, context: object) -> None:
            self.on_job_changed = hookimpl(lambda wrong: None)

        @property
        def trap(self) -> None:
            raise RuntimeError("sprung")

    with pytest.raises(PluginError, match="plugin sly: "):
        register({"sly": Sly(None)})

    class Late(Watcher):
        def __init__(self, context: object) -> None:
            self.unheard_of = hookimpl(lambda: None)

    with pytest.raises(PluginError, match="unheard_of"):
        register({"late": Late(None)})


def test_first_party_plugins_pass() -> None:
    load_classes(["actions-queue", "libvirt"])


class Leaves(Watcher):
    def __init__(self, context: object) -> None:
        raise SystemExit(3)


class Wordless(Watcher):
    def __init__(self, context: object) -> None:
        class Odd(BaseException):
            def __str__(self) -> str:
                raise RuntimeError("no words")

        raise Odd


@pytest.mark.parametrize(("cls", "said"), [(Leaves, "SystemExit: 3"), (Wordless, "Odd")])
def test_c40_whatever_a_constructor_raises_is_told(cls: type[Any], said: str) -> None:
    plugin = load_classes(["x"], extra={"x": cls})["x"]
    with pytest.raises(PluginError, match=rf"plugin x: cannot be built: {said} \("):
        build(plugin, object())
