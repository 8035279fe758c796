"""Plugins are found, imported when named, and refused when they could not work."""

from __future__ import annotations

import importlib.metadata
import signal
import sys
import textwrap
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from scaler import PluginError, hookimpl
from scaler.loading import find, load_classes
from scaler.loading.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Plain:
    def __init__(self, context: object) -> None:
        self.context = context


class Watcher(Plain):
    @hookimpl
    async def on_message(self, message: object) -> None: ...
    @hookimpl
    def check(self) -> None: ...


GOOD = """
    from __future__ import annotations
    from dataclasses import dataclass
    from scaler import hookimpl

    class Helper:
        pass

    class Mine:
        @dataclass(frozen=True)
        class Config:
            colour: str = "red"

        def __init__(self, context):
            self.context = context

        @hookimpl
        async def on_message(self, message):
            pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text).lstrip("\n"))
        return tmp_path

    return write


# --- finding ------------------------------------------------------------------------------


def test_entry_points_are_found_with_their_distribution() -> None:
    [found] = find()["libvirt"]
    version = importlib.metadata.version("scaler-libvirt")
    assert (found.dist, found.version) == ("scaler-libvirt", version)


def test_files_are_found_sorted_and_helpers_are_not(folder: Callable[..., Path]) -> None:
    place = folder(b_two=GOOD, a=GOOD, _helper="raise SystemExit")
    names = [name for name, found in find(place).items() if found[0].file]
    assert names == ["a", "b-two"]


def test_only_what_is_named_is_imported(folder: Callable[..., Path]) -> None:
    place = folder(mine=GOOD, bomb="raise RuntimeError('imported')")
    loaded = load_classes(["mine"], plugin_dir=place)
    assert list(loaded) == ["mine"]
    mine = loaded["mine"]
    assert (mine.cls.__name__, mine.dist, mine.hooks) == ("Mine", "", frozenset({"on_message"}))
    assert mine.config is mine.cls.Config
    assert mine.profile_config is None


@pytest.mark.parametrize("name", ["two-words", "two_words"])
def test_a_file_answers_to_both_spellings(folder: Callable[..., Path], name: str) -> None:
    assert list(load_classes([name], plugin_dir=folder(two_words=GOOD))) == [name]


def test_files_are_imported_under_names_of_their_own(folder: Callable[..., Path]) -> None:
    before = set(sys.modules)
    loaded = load_classes(["json"], plugin_dir=folder(json=GOOD))
    [module] = {name for name in set(sys.modules) - before if name.startswith("scaler_plugin_dir_")}
    assert loaded["json"].cls.__module__ == module
    assert "Mine" not in vars(sys.modules["json"])


def test_classes_can_be_brought_along() -> None:
    loaded = load_classes(["w"], extra={"w": Watcher})
    assert loaded["w"].cls is Watcher
    assert {"on_message", "check"} <= loaded["w"].hooks
    assert "capacity" not in loaded["w"].hooks


def test_the_order_is_the_one_asked_for() -> None:
    extra = dict.fromkeys(["b", "a", "c"], Watcher)
    assert list(load_classes(["c", "a", "b"], extra=extra)) == ["c", "a", "b"]


# --- refusing -----------------------------------------------------------------------------


def refusal(cls: Any) -> str:
    with pytest.raises(PluginError) as caught:
        load_classes(["x"], extra={"x": cls})
    assert caught.value.exit_code == 4
    return str(caught.value)


def test_a_name_that_nobody_has_is_told_with_the_nearest() -> None:
    with pytest.raises(PluginError) as caught:
        load_classes(["libvrit", "wacher"], extra={"watcher": Watcher})
    first, second = str(caught.value).splitlines()
    assert first.startswith('plugin libvrit: there is none of this name (did you mean "libvirt"?)')
    known, _, hint = first.partition("known: ")[2].partition(" (")
    assert {"github", "libvirt", "monitor", "watcher"} <= set(known.split(", "))  # and others'
    assert hint == "is its distribution installed?)"
    assert second.startswith('plugin wacher: there is none of this name (did you mean "watcher"?)')


def test_two_of_one_name_are_refused(folder: Callable[..., Path]) -> None:
    place = folder(libvirt=GOOD)
    with pytest.raises(PluginError, match=r"several have this name: scaler-libvirt .* and /"):
        load_classes(["libvirt"], plugin_dir=place)
    (place / "a_b.py").touch()
    (place / "a-b.py").touch()
    with pytest.raises(PluginError, match="several have this name"):
        load_classes(["a-b"], plugin_dir=place)


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import os\nimport nowhere_at_all\n", "ModuleNotFoundError: No module named", 2),
        ("#\n\n1 / 0\n", "ZeroDivisionError: division by zero", 3),
        ("#\ndef broken(:\n", "SyntaxError: invalid syntax", 2),
        ("def f():\n    raise SystemExit(3)\nf()\n", "SystemExit: 3", 2),
        ("class Own(BaseException): ...\n\nraise Own('x')\n", "Own: x", 3),
        ("raise GeneratorExit\n", "GeneratorExit", 1),
        ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name", 2),
    ],
)
def test_an_import_error_names_the_plugins_own_line(
    folder: Callable[..., Path], text: str, said: str, line: int
) -> None:
    place, before = folder(mine=text), set(sys.modules)
    with pytest.raises(PluginError) as caught:
        load_classes(["mine"], plugin_dir=place)
    assert str(caught.value).startswith(f"plugin mine: cannot be imported: {said}")
    assert str(caught.value).endswith(f"({place / 'mine.py'}:{line})")
    assert not [name for name in set(sys.modules) - before if "plugin_dir" in name]


def test_an_entry_points_import_error_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "broken_dist.py").write_text("\nfrom json import nothing_like_it\n")
    (tmp_path / "broken_dist-1.0.dist-info").mkdir()
    info = tmp_path / "broken_dist-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[scaler.plugins]\nbroken = broken_dist:X\n")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(PluginError) as caught:
            load_classes(["broken"])
    finally:
        sys.path.remove(str(tmp_path))
    assert "plugin broken: cannot be imported: ImportError: cannot import name" in str(caught.value)
    assert str(caught.value).endswith(f"({tmp_path / 'broken_dist.py'}:2)")


@pytest.mark.parametrize(
    ("text", "found"),
    [("x = 1", "none"), (GOOD + "\n    class Other(Mine): pass\n", "Mine, Other")],
)
def test_a_file_holds_exactly_one_plugin(
    folder: Callable[..., Path], text: str, found: str
) -> None:
    with pytest.raises(PluginError, match=f"wanted exactly one class .*, found {found}$"):
        load_classes(["mine"], plugin_dir=folder(mine=text))


def test_a_file_whose_hooks_are_not_marked_is_told_which(folder: Callable[..., Path]) -> None:
    text = "class Teller:\n    async def on_job_changed(self, job): ...\n"
    said = r"mine\.py: Teller\.on_job_changed has the name of a hook, but no @hookimpl$"
    with pytest.raises(PluginError, match=said):
        load_classes(["mine"], plugin_dir=folder(mine=text))


def test_what_is_no_class_is_refused() -> None:
    assert "plugin x: wanted a class, found <function" in refusal(lambda context: None)
    assert "plugin x: wanted a class, found 3" in refusal(3)


def test_a_class_without_hooks_is_refused() -> None:
    assert refusal(Plain) == "plugin x: Plain has no hook: no method is marked @hookimpl"


def mark(function: Any, **options: Any) -> Any:
    """A marked copy: the mark is set on the function itself."""
    code, names = function.__code__, function.__globals__
    fresh = FunctionType(code, names, function.__name__, function.__defaults__)
    fresh.__kwdefaults__ = function.__kwdefaults__
    return hookimpl(fresh, **options)


def bad(**members: Any) -> type[Any]:
    return type("Bad", (Watcher,), members)


async def _on_mesage(self: Any, message: Any) -> None: ...
async def _wrong(self: Any, mesage: Any) -> None: ...
async def _default(self: Any, message: Any = None) -> None: ...
async def _keyword(self: Any, *, message: Any) -> None: ...
async def _many(self: Any, *args: Any, **more: Any) -> None: ...
async def _fine(self: Any, message: Any) -> None: ...
async def _stream(self: Any, message: Any) -> Any:
    yield message


def _wrapper(self: Any, message: Any) -> Any:
    return (yield)


def _service(self: Any, task_status: Any) -> None: ...


ON_MESSAGE = "async def on_message(self, message)"


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (
            bad(on_mesage=mark(_on_mesage)),
            f'on_mesage is not a hook (did you mean "on_message"?): {ON_MESSAGE}',
        ),
        (
            bad(zzz=mark(_on_mesage)),
            "zzz is not a hook; hooks: run_service, check, on_settings_changed,",
        ),
        (
            bad(other=mark(_fine, specname="on_mesage")),
            f'other is not a hook (did you mean "on_message"?): {ON_MESSAGE}',
        ),
        (
            bad(on_message=mark(_wrong)),
            'on_message has an argument "mesage" that it is never given '
            f'(did you mean "message"?): {ON_MESSAGE}',
        ),
        (
            bad(on_message=mark(_default)),
            f'on_message has a default for "message", so that it would never be given: {ON_MESSAGE}',  # noqa: E501
        ),
        (
            bad(on_message=mark(_keyword)),
            f'on_message has the keyword-only argument "message": hooks are called by position: '
            f"{ON_MESSAGE}",
        ),
        (
            bad(on_message=mark(_many)),
            "on_message takes *args, which would always be empty",
        ),
        (bad(on_message=mark(_many)), "on_message takes **more, which would always be"),
        (
            bad(on_message=mark(_wrapper, wrapper=True)),
            "on_message is a wrapper: those cannot go",
        ),
        (bad(on_message=mark(_wrapper, hookwrapper=True)), "on_message is a wrapper: those"),
        (bad(on_message=mark(_stream)), "on_message is a generator: a hook returns its answer"),
        (bad(on_message=mark(_wrapper)), "on_message is a generator"),
        (bad(on_message=_fine), "on_message has the name of a hook, but no @hookimpl"),
        (
            bad(run_service=mark(_service)),
            "run_service must be an async function: async def run_service(self, task_status)",
        ),
        (
            bad(register_runner=hookimpl(lambda self, runner: None)),
            "implements register_runner, but not unregister_runner",
        ),
        (
            bad(provision_runner=hookimpl(lambda self, runner: None)),
            "implements provision_runner, but not destroy_runner",
        ),
        (bad(__init__=lambda self: None), "is built with one argument, its context"),
        (bad(__init__=lambda self, a, b: None), "is built with one argument, its context"),
    ],
)
def test_a_hook_that_could_not_work_is_refused(cls: type[Any], said: str) -> None:
    lines = refusal(cls).splitlines()
    assert all(line.startswith("plugin x: Bad") for line in lines)
    assert any(said in line for line in lines), lines


def test_everything_that_is_wrong_is_told_at_once() -> None:
    worse = bad(on_mesage=mark(_on_mesage), on_message=mark(_default))
    with pytest.raises(PluginError) as caught:
        load_classes(["a", "b", "c"], extra={"a": worse, "b": Plain, "c": Watcher})
    assert [line.split()[1] for line in str(caught.value).splitlines()] == ["a:", "a:", "b:"]


def test_fewer_arguments_plain_functions_and_inheritance_are_fine() -> None:
    class Fewer(Watcher):
        @hookimpl
        def on_job_available(self) -> None: ...
        @hookimpl(specname="on_runner_changed")
        async def anything(self, before: object) -> None: ...
        @hookimpl(optionalhook=True)
        async def hook_of_a_later_scaler(self, x: object) -> None: ...

    hooks = load_classes(["x"], extra={"x": Fewer})["x"].hooks
    assert hooks == {"on_message", "check", "on_job_available", "on_runner_changed"}


MADE_UP = "raise KeyboardInterrupt('made up')\n"


def test_a_ctrl_c_goes_its_way_where_python_raises_it_for_one(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MADE_UP)
    with pytest.raises(KeyboardInterrupt):
        load_classes(["own"], plugin_dir=tmp_path)


@pytest.fixture
def _taken() -> Iterator[None]:
    """SIGINT is somebody's: then no KeyboardInterrupt comes of it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_taken")
def test_c40_one_that_a_plugin_made_up_is_its_fault(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MADE_UP)
    with pytest.raises(PluginError, match="cannot be imported: KeyboardInterrupt: made up"):
        load_classes(["own"], plugin_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("tik", ["tick", "log"], "tick"),
        ("Scale-Set", ["scale_set"], "scale_set"),
        ("zebra", ["tick"], ""),
        ("x", [], ""),
    ],
)
def test_nearest(name: str, known: list[str], found: str) -> None:
    assert nearest(name, known) == found
