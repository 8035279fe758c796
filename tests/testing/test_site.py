"""What a check makes of its settings: whose tables they are, and what is filled in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.testing.machines import InMemory

from scaler import Context, PluginError, Secret, SettingsError, hookimpl
from scaler.testing.fakeplugins import FakeProvisioner
from scaler.testing.site import read_site

if TYPE_CHECKING:
    from collections.abc import Callable


class Rented(FakeProvisioner):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        token: Secret
        image: Path = Path("image")

    @dataclass(frozen=True, kw_only=True)
    class ProfileConfig:
        size: str = "small"


RENTED = """
[plugins.rented]
token = { env = "TOKEN" }
image = "image"

[profiles.small]
[profiles.large.rented]
size = "large"
"""


def test_with_nothing_said_there_is_a_plugin_without_settings(tmp_path: Path) -> None:
    site = read_site(InMemory, tmp_path, runners=5)
    assert (site.name, list(site.loaded)) == ("in-memory", ["in-memory"])
    assert {name: each.max_count for name, each in site.profiles.items()} == {"linux": 5}
    assert site.profiles["linux"].source == "fake-source"
    assert site.profiles["linux"].provisioners == ("in-memory",)
    assert site.settings.state_dir == tmp_path / "state"


def test_settings_are_read_as_a_site_writes_them(tmp_path: Path) -> None:
    site = read_site(Rented, tmp_path, settings=RENTED, environ={"TOKEN": "t0ken"})
    assert site.name == "rented"
    assert site.settings.plugins["rented"].token.reveal() == "t0ken"
    assert site.settings.plugins["rented"].image == tmp_path / "image"
    assert {name: own.size for name, own in site.settings.own["rented"].items()} == {
        "small": "small",
        "large": "large",
    }
    assert list(site.profiles) == ["small", "large"]


def test_a_function_needs_the_class_whose_settings_are_meant(tmp_path: Path) -> None:
    def make(context: Context[Any, Any]) -> object:
        return Rented(context)

    with pytest.raises(TypeError, match="plugin="):
        read_site(make, tmp_path, settings=RENTED)
    site = read_site(make, tmp_path, settings=RENTED, plugin=Rented, environ={"TOKEN": "t0ken"})
    assert (site.name, site.make) == ("rented", make)


def test_a_table_of_another_name_is_its_own_where_it_is_the_only_one(tmp_path: Path) -> None:
    site = read_site(InMemory, tmp_path, settings="[plugins.mine]\n[profiles.linux.mine]")
    assert site.name == "mine"
    with pytest.raises(ValueError, match=r"\[plugins\.one\], \[plugins\.two\].*in-memory"):
        read_site(InMemory, tmp_path, settings="[plugins.one]\n[plugins.two]")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[plugins.rented", "is not TOML"),
        ("[plugins.rented]\n", "token"),
        (RENTED + "colour = 1", "colour"),
    ],
)
def test_wrong_settings_are_told_as_ever(tmp_path: Path, settings: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_site(Rented, tmp_path, settings=settings, environ={"TOKEN": "t0ken"})


def misspelt() -> type[Any]:
    class Misspelt:
        def __init__(self, context: Any) -> None: ...

        @hookimpl
        async def provision_runners(self) -> None: ...

    return Misspelt


def nothing() -> type[Any]:
    return type("Nothing", (), {"__init__": lambda self, context: None})


@pytest.mark.parametrize("cls", [misspelt, nothing])
def test_a_class_that_is_no_plugin_is_refused_as_ever(
    tmp_path: Path, cls: Callable[[], type[Any]]
) -> None:
    with pytest.raises(PluginError, match="plugin"):
        read_site(cls(), tmp_path)
