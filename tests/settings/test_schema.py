"""The settings' JSON Schema takes what loads, and refuses what loading refuses for its shape."""

from __future__ import annotations

import copy
import json
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from jsonschema_rs import Draft7Validator, meta
from msgspec import Meta
from tests.settings.conftest import CLASSES, Bench, Watcher
from tests.test_docs_examples import completed, every

from scaler import Duration, PluginError, Secret, SettingsError, Size
from scaler.loading import LoadedPlugin, find, load_classes, load_one
from scaler.secrets import SecretSource
from scaler.settings import load
from scaler.settings.convert import fields_of
from scaler.settings.problems import Problems
from scaler.settings.schema import schema


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Every(Watcher):
    """Has everything that settings can have.

    And more.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Everything.

        Attributes:
            text: A text.
            waits: Some lengths of time.
        """

        text: str
        whole: Annotated[int, Meta(ge=1, le=9)] = 2
        between: Annotated[int, Meta(gt=1, lt=9)] = 2
        number: Annotated[float, Meta(gt=0, le=1)] = 0.5
        on: bool = True
        waits: tuple[Duration, ...] = (Duration(1.5),)
        long: Annotated[Duration, Meta(gt=0)] = Duration(5)  # noqa: RUF009
        size: Size = Size(1 << 20)  # noqa: RUF009
        amount: Annotated[Size, Meta(gt=0, description="some bytes")] = Size(1)  # noqa: RUF009
        path: Path | None = None
        secret: Secret | None = None
        source: SecretSource | None = None
        secrets: tuple[Secret, ...] = ()
        either: str | int | None = None
        hidden: Secret | str | None = None
        colour: Colour = Colour.RED
        choice: Literal["a", 1] = "a"
        named: Mapping[str, Size] | None = None
        code: Annotated[str, Meta(pattern=r"\A[a-z]+\Z", max_length=5)] = "a"
        odd: Annotated[str, Meta(pattern=r"(?i)^[A-Z]+$")] = "a"
        few: Annotated[list[int], Meta(min_length=1, max_length=2)] | None = None
        tree: Every.Tree | None = None
        anything: Any = None

    @dataclass(frozen=True)
    class Tree:
        """Holds itself.

        Attributes:
            name: What it is called.
        """

        name: str
        children: tuple[Every.Tree, ...] = ()


EXTRA: dict[str, type[Any]] = {**CLASSES, "every": Every}
FIELDS_OF, LOADED = cache(fields_of), load_classes(EXTRA, extra=EXTRA)  # what loading spends on

FULL = """
[scaler]
name = "host-1"
state_dir = "state"
tick = "1m30s"
shutdown_grace = "0s"
log = "debug"

[plugins.queue]
url = "x"
token = { env = "KEY" }
interval = "500ms"
keep = "4 GiB"

[plugins.rest]
enabled = false

[plugins.unheard-of]
enabled = false
anything = { at = "all" }

[plugins.box]
[plugins.watcher]

[plugins.every]
text = ""
whole = 9
between = 8
number = 1
on = false
waits = ["1s", "1.5h"]
long = "10m"
size = 0
amount = "3B"
path = "a/b"
secret = { env = "KEY" }
source = { env = "KEY" }
secrets = [{ env = "KEY" }]
either = 1
hidden = { env = "KEY" }
colour = "blue"
choice = 1
named = { a = 1, "b c" = "2M" }
code = "abc"
odd = "abc"
few = [1, 2]
tree = { name = "a", children = [{ name = "b", children = [] }] }
anything = [1, "a", { b = true }]

[profiles.linux]
labels = ["a", "b"]
target_count = 1
max_count = 2
start_timeout = "1s"
reserve_timeout = "1s"
max_lifetime = "1d"
hold_failed = "0s"
resources = { memory = "1G", vcpus = 2 }

[profiles.linux.queue]
pool = "x"

[profiles.linux.box]
"""

#: What a value is replaced by.
VALUES: list[Any] = [
    *(True, False, 0, 1, 2, 10, -1, 1.5, -0.5, 2**70),
    *("", "x", "red", "30s", "0s", "1h 5m", "-3s", "4 K", "-4G", "a.b/C"),
    *([], ["x"], ["1s", 2], [1, 2, 3], [{}], {}, {"a": 1}, {"env": "KEY"}),
    *({"file": ""}, {"env": "KEY", "file": "x"}, {"name": "x"}, {"enabled": False}),
]

#: Where a schema says less than loading does, by the end of a path.
UNSAID = {
    "boot_script": "whether the file is there",
    "odd": "patterns that only Python has",
    "memory": "how much of it is too little",
    "env": "which variables there are",
    "max_count": "that it is not below target_count",
    "target_count": "that it is not above max_count",
}


#: What loading says of who serves a profile, which a schema cannot know.
OWNERS = ("several plugins", "no enabled plugin", "not enabled", "linux.queue.pool: found nothing")


def built(**broken: str) -> dict[str, Any]:
    return schema(LOADED, broken)


@pytest.fixture(scope="module")
def takes() -> Draft7Validator:
    return Draft7Validator(built())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, (*path, index))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The same with another value there; with none of it where the value is an ellipsis."""
    made = copy.deepcopy(document)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


@pytest.fixture
def against(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """What loading says against a document; empty where it loads. Without files: there are many."""
    known = find(extra=EXTRA)
    module = sys.modules[load.__module__]
    monkeypatch.setattr(module, "find", lambda *_: known)
    loader = sys.modules[load_classes.__module__]
    monkeypatch.setattr(loader, "find", lambda *_: known)
    monkeypatch.setattr(loader, "load_one", lambda name, *_: LOADED.get(name) or load_one(name, {}))
    monkeypatch.setattr(
        sys.modules[Problems.__module__], "Lines", lambda _: SimpleNamespace(of=len)
    )

    def loading(document: Any) -> str:
        monkeypatch.setattr(module, "_read", lambda _: ("", document))
        try:
            load(tmp_path / "scaler.toml", extra=EXTRA, environ={"KEY": "secret" * 6})
        except (SettingsError, PluginError) as error:
            return str(error)
        return ""

    return loading


def off(document: Any, path: tuple[Any, ...]) -> bool:
    """Whether it is in the table of a plugin that is kept off."""
    table = document["plugins"].get(path[1]) if path[0] == "plugins" and len(path) > 2 else None
    return isinstance(table, dict) and table.get("enabled") is False


def test_it_is_a_schema_of_draft_seven() -> None:
    meta.validate(built())
    assert built()["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_full_example_is_taken(bench: Bench, takes: Draft7Validator) -> None:
    document = tomllib.loads(FULL)
    assert bench.load(FULL, environ={"KEY": "secret" * 6}, extra=EXTRA).profiles
    assert [each.message for each in takes.iter_errors(document)] == []
    own = document["plugins"]["every"].keys()
    assert own == built()["properties"]["plugins"]["properties"]["every"]["properties"].keys() - {
        "enabled"
    }


@pytest.mark.once
@pytest.mark.parametrize("path", list(places(tomllib.loads(FULL))), ids=str)
def test_what_loads_is_taken_and_what_has_another_shape_is_not(
    path: tuple[Any, ...], against: Callable[[Any], str], takes: Draft7Validator
) -> None:
    document = tomllib.loads(FULL)
    for value in (..., *VALUES):
        made = changed(document, path, value)
        wrong, taken = against(made), takes.is_valid(made)
        if not wrong:
            assert taken or off(made, path), (value, next(iter(takes.iter_errors(made))).message)
        elif taken:
            unsaid = any(step in UNSAID for step in path) or any(each in wrong for each in OWNERS)
            assert unsaid, (value, wrong)


@pytest.mark.once
@pytest.mark.parametrize(
    "path",
    [path for path in [(), *places(tomllib.loads(FULL))] if path[-1:] != ("anything",)],
    ids=str,
)
def test_a_key_that_nobody_knows_is_refused_where_loading_refuses_it(
    path: tuple[Any, ...], against: Callable[[Any], str], takes: Draft7Validator
) -> None:
    document = tomllib.loads(FULL)
    table: Any = document
    for step in path:
        table = table[step]
    if not isinstance(table, dict):
        return
    made = changed(document, (*path, "unheard_of"), 1)
    assert takes.is_valid(made) == (against(made) == "") or off(made, (*path, ""))


@pytest.mark.parametrize(("path", "text"), every("toml"))
def test_settings_in_the_pages_are_taken(path: Path, text: str, tmp_path: Path) -> None:
    if "project" in tomllib.loads(text):  # a distribution's, not settings
        return
    whole = tomllib.loads(completed(path, text, tmp_path).read_text())
    plugins: dict[str, LoadedPlugin] = {}
    later: dict[str, str] = {}
    for name in whole["plugins"]:
        try:
            plugins |= load_classes([name], plugin_dir=tmp_path / "plugins")
        except PluginError as error:  # one that the page has its reader write
            later[name] = str(error)
    takes = Draft7Validator(schema(plugins, later))
    assert plugins
    for document in (whole, tomllib.loads(text)):
        assert [each.message for each in takes.iter_errors(document)] == []


def test_people_are_told_what_a_setting_means_and_how_it_is_written() -> None:
    plugins = built()["properties"]["plugins"]["properties"]
    assert plugins["every"]["description"].startswith("Has everything that settings can have.\n\n")
    shown = plugins["every"]["properties"]
    assert shown["text"] == {"type": "string", "description": "A text."}
    assert shown["waits"]["default"] == ["1s500ms"]
    assert shown["size"]["default"] == "1M"
    assert shown["size"]["description"] == 'A size with a unit, such as "512M" or "4G".'
    assert shown["amount"]["description"] == "Some bytes."
    assert shown["secret"]["description"] == ('Written as { env = "NAME" } or { file = "PATH" }.')
    assert shown["colour"] == {"type": "string", "enum": ["red", "blue"], "default": "red"}
    assert "default" not in shown["path"]
    tick = built()["properties"]["scaler"]["properties"]["tick"]
    assert tick["description"] == (
        "How often everything is looked at; changes are acted on at once.\n\n"
        'A duration with a unit, such as "30s" or "1h30m".'
    )
    assert tick["default"] == "30s"


def test_it_is_the_same_on_every_host(monkeypatch: pytest.MonkeyPatch) -> None:
    before = built()
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    assert built() == before
    assert "default" not in before["properties"]["scaler"]["properties"]["name"]


def test_a_broken_plugin_s_tables_may_hold_anything() -> None:
    made = built(bad="it cannot be imported")
    takes = Draft7Validator(made)
    assert takes.is_valid({"plugins": {"bad": {"x": 1}}, "profiles": {"a": {"bad": {"y": 2}}}})
    shown = json.dumps(made)
    assert "BROKEN: it cannot be imported" in shown


def test_no_plugins_leave_only_those_that_are_kept_off() -> None:
    takes = Draft7Validator(schema({}))
    assert takes.is_valid({"plugins": {"x": {"enabled": False, "y": 1}}})
    assert not takes.is_valid({"plugins": {"x": {}}})
