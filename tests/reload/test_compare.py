"""What a changed file comes to, for made-up files: everything in it is applied, told or named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.records import Profile, SettingsChange
from scaler.reload.compare import FIXED, LIVE, Changes, compare, without
from scaler.settings import Again, Settings
from scaler.units import Duration, Secret

pytestmark = pytest.mark.once

few = settings(max_examples=25, deadline=None)

PLUGINS = ("a", "b", "c")
PROFILES = ("one", "two", "three")


@dataclass(frozen=True)
class Config:
    """A plugin's settings."""

    size: int = 0
    secret: Secret | None = None


configs = st.one_of(
    st.none(),
    st.builds(Config, st.integers(0, 1), st.sampled_from([None, Secret("s1"), Secret("s2")])),
)


def profiles(name: str) -> st.SearchStrategy[Profile]:
    """A profile by that name."""
    return st.builds(
        Profile,
        name=st.just(name),
        labels=st.sampled_from([(), ("x",)]),
        target_count=st.integers(0, 1),
        max_count=st.integers(1, 2),
        max_lifetime=st.sampled_from([60.0, 90.0]),
        resources=st.sampled_from([{}, {"vcpus": 1}]),
        source=st.sampled_from(PLUGINS[:2]),
        provisioners=st.sampled_from([("b",), ("c",), ("b", "c")]),
    )


@st.composite
def files(draw: st.DrawFn) -> Settings:
    """What a file may say."""
    plugins = draw(st.permutations(PLUGINS))
    plugins = [name for name in plugins if draw(st.booleans()) or draw(st.booleans())]
    names = draw(st.lists(st.sampled_from(PROFILES), unique=True))
    found = {
        name: profile
        for name in names
        if {(profile := draw(profiles(name))).source, *profile.provisioners} <= set(plugins)
    }
    own: dict[str, dict[str, Any]] = {name: {} for name in plugins}
    seen: dict[tuple[str | int, ...], Any] = {}
    for name, profile in found.items():
        others = [each for each in plugins if draw(st.booleans())]
        for plugin in {profile.source, *profile.provisioners, *others}:
            own[plugin][name] = draw(configs)
            if draw(st.booleans()):
                seen["profiles", name, plugin, "file"] = draw(st.integers(0, 1))
    for plugin in plugins:
        if draw(st.booleans()):
            seen["plugins", plugin, "file"] = draw(st.integers(0, 1))
    return Settings(
        name=draw(st.sampled_from(["here", "there"])),
        state_dir=draw(st.sampled_from([Path("/a"), Path("/b")])),
        tick=draw(st.sampled_from([Duration(30), Duration(40)])),
        shutdown_grace=draw(st.sampled_from([Duration(30), Duration(40)])),
        log=draw(st.sampled_from(["info", "debug"])),
        plugin_dir=draw(st.sampled_from([None, Path("/p")])),
        plugins=MappingProxyType({name: draw(configs) for name in plugins}),
        profiles=MappingProxyType(found),
        own=MappingProxyType(own),
        source_file=Path("scaler.toml"),
        seen=MappingProxyType(seen),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Settings, Again, frozenset[str], frozenset[str]]:
    """What runs (with profiles that leave), the file, those that leave, who can be told."""
    running, file = draw(files()), draw(files())
    leaving = frozenset(name for name in running.profiles if draw(st.booleans()))
    running = replace(
        running,
        profiles=MappingProxyType(
            {
                name: replace(profile, target_count=0) if name in leaving else profile
                for name, profile in running.profiles.items()
            }
        ),
    )
    able = frozenset(name for name in PLUGINS if draw(st.booleans()) or draw(st.booleans()))
    there = {name: each for name, each in file.plugins.items() if name in running.plugins}
    newcomers = tuple(name for name in file.plugins if name not in there)
    awaiting = {
        name: newcomers[0]
        for name, profile in file.profiles.items()
        if newcomers and {profile.source, *profile.provisioners} & set(newcomers)
    }
    kept = {name: each for name, each in file.profiles.items() if name not in awaiting}
    own = {
        plugin: {name: each for name, each in file.own[plugin].items() if name in kept}
        for plugin in there
    }
    known = replace(file, plugins=there, profiles=kept, own=own)
    again = Again(settings=known, newcomers=newcomers, awaiting=awaiting)
    return running, again, leaving, able


def done(case: tuple[Settings, Again, frozenset[str], frozenset[str]]) -> Changes:
    running, again, leaving, able = case
    return compare(running, again, leaving=leaving, able=able)


def keys(texts: tuple[str, ...]) -> set[str]:
    """The key paths that texts begin with."""
    return {text.partition(": ")[0] for text in texts}


@few
@given(files(), st.frozensets(st.sampled_from(PLUGINS)))
def test_the_same_file_changes_nothing(file: Settings, able: frozenset[str]) -> None:
    changes = compare(file, Again(settings=file), leaving=(), able=able)
    assert changes == Changes(settings=file)
    assert changes.settings.seen == file.seen


@few
@given(cases())
def test_a_second_time_there_is_nothing_to_apply(case: Any) -> None:
    running, again, _, able = case
    first = done(case)
    second = compare(first.settings, again, leaving=first.leaving, able=able)
    assert not any((second.applied, second.told, second.added, second.left))
    assert second.settings == first.settings
    assert second.settings.seen == first.settings.seen
    assert set(second.restart) == set(first.restart)
    del running


@few
@given(cases())
def test_c45_everything_that_differs_is_applied_told_or_named(case: Any) -> None:
    running, again, leaving, able = case
    new = again.settings
    changes = done(case)
    applied, restart = keys(changes.applied), keys(changes.restart)
    after = changes.settings
    for name in (*LIVE, *FIXED):
        wanted, now = getattr(new, name), getattr(after, name)
        assert (now == wanted) or f"scaler.{name}" in restart
        assert (f"scaler.{name}" in applied) == (now != getattr(running, name))
    for name in again.newcomers:
        assert f"plugins.{name}" in restart
    for name in running.plugins:
        if name not in new.plugins:
            assert f"plugins.{name}" in restart
            assert after.plugins[name] == running.plugins[name]
            continue
        same = after.plugins[name] == new.plugins[name]
        stamp = ("plugins", name, "file")
        same = same and after.seen.get(stamp) == new.seen.get(stamp)
        assert same or any(key.startswith(f"plugins.{name}") for key in restart)
        moved = (after.plugins[name], after.seen.get(stamp)) != (
            running.plugins[name],
            running.seen.get(stamp),
        )
        told = changes.told.get(name, SettingsChange())
        assert told.config == moved
        assert not moved or name in able
    for name in {*new.profiles, *again.awaiting, *running.profiles}:
        named = any(
            key == f"profiles.{name}" or key.startswith(f"profiles.{name}.") for key in restart
        )
        for plugin in after.plugins:
            own = after.own[plugin]
            had = running.own[plugin]
            change = changes.told.get(plugin, SettingsChange())
            assert (name in change.added) == (name in own and name not in had)
            assert (name in change.removed) == (name in had and name not in own)
            if name in own and name in had and own[name] != had[name]:
                assert name in change.changed
        if name in changes.leaving:
            assert name not in new.profiles or named
            assert after.profiles[name] == replace(running.profiles[name], target_count=0)
            assert name in leaving or f"profiles.{name}" in applied
        elif name not in after.profiles or after.profiles[name] != new.profiles.get(name):
            assert named
        else:
            for plugin in new.own:
                wanted = new.own[plugin].get(name)
                assert after.own[plugin].get(name) == wanted or named


@few
@given(cases())
def test_no_profile_with_runners_is_lost_or_changes_hands(case: Any) -> None:
    running, _, _, able = case
    changes = done(case)
    after = changes.settings
    for name, before in running.profiles.items():
        assert after.profiles[name].source == before.source
        assert set(after.profiles[name].provisioners) >= set(before.provisioners)
        for plugin in (before.source, *before.provisioners):
            assert name in after.own[plugin]
    for name in changes.added:
        profile = after.profiles[name]
        assert {profile.source, *profile.provisioners} <= able
    assert list(after.plugins) == list(running.plugins)
    assert set(changes.told) <= able


@few
@given(cases())
def test_what_is_said_has_no_secret(case: Any) -> None:
    changes = done(case)
    text = "\n".join((*changes.applied, *changes.restart))
    assert "s1" not in text
    assert "s2" not in text


@few
@given(files(), st.sampled_from(PROFILES))
def test_without_a_profile_nothing_of_it_is_left(file: Settings, name: str) -> None:
    after = without(file, name)
    assert name not in after.profiles
    assert not any(name in own for own in after.own.values())
    assert not any(path[:2] == ("profiles", name) for path in after.seen)
    rest: Mapping[str, Any] = {key: each for key, each in file.profiles.items() if key != name}
    assert after.profiles == rest


def test_every_field_of_the_settings_is_thought_of() -> None:
    others = {"plugins", "profiles", "own", "source_file", "secrets", "seen", "environ", "extra"}
    assert {field.name for field in fields(Settings)} == {*LIVE, *FIXED, *others}


class Strange:
    """Settings that cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("able", [frozenset("a"), frozenset()])
def test_settings_that_cannot_be_compared_count_as_changed(able: frozenset[str]) -> None:
    file = Settings(
        name="here",
        state_dir=Path("/a"),
        tick=Duration(30),
        shutdown_grace=Duration(30),
        log="info",
        plugin_dir=None,
        plugins={"a": Strange()},
        profiles={},
        own={"a": {}},
        source_file=Path("scaler.toml"),
    )
    changes = compare(file, Again(settings=file), leaving=(), able=able)
    assert changes.told == ({"a": SettingsChange(config=True)} if able else {})
    assert keys(changes.applied + changes.restart) == {"plugins.a"}
