"""A plugin may say which version of the API it is written for; one that cannot work is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import scaler
from scaler import API, PluginError, hookimpl, load_settings
from scaler.api import unusable, version
from scaler.cli.main import main
from scaler.loading import load_classes

if TYPE_CHECKING:
    from pathlib import Path

MAJOR, MINOR = version(API)


class Watcher:
    def __init__(self, context: object) -> None: ...

    @hookimpl
    async def check(self) -> None: ...


def saying(api: object) -> type[Any]:
    return type("Saying", (Watcher,), {"api": api})


@pytest.mark.parametrize("said", [API, f"{MAJOR}.0"])
def test_one_that_can_work_is_loaded_with_what_it_says(said: str) -> None:
    assert load_classes(["x"], extra={"x": saying(said)})["x"].api == said


def test_one_that_says_nothing_is_taken_as_it_is() -> None:
    assert load_classes(["x"], extra={"x": Watcher})["x"].api == ""


class WithClient(Watcher):
    @property
    def api(self) -> str:
        return "its own"


def test_an_api_that_is_no_version_but_its_own_is_left_alone() -> None:
    assert load_classes(["x"], extra={"x": WithClient})["x"].api == ""


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        (f"{MAJOR}.{MINOR + 1}", "install a newer scaler, or an older release of the plugin"),
        (f"{MAJOR + 1}.0", "install a newer scaler, or an older release of the plugin"),
        (f"{MAJOR - 1}.9", "install a newer release of the plugin, or an older scaler"),
    ],
)
def test_one_that_cannot_work_is_refused_with_found_wanted_and_mend(said: str, mend: str) -> None:
    with pytest.raises(PluginError) as caught:
        load_classes(["x"], extra={"x": saying(said)})
    assert str(caught.value) == (
        f"plugin x: Saying is written for version {said} of scaler's plugin API, and this scaler "
        f"has {API}: {mend}"
    )


@pytest.mark.parametrize("said", ["1", "1.0.0", "one", "", " 1.0", "1.0\n", "01.0", "1.٣", "v1.0"])
def test_what_is_no_version_is_refused(said: str) -> None:
    with pytest.raises(PluginError, match=r"wanted MAJOR\.MINOR, such as"):
        load_classes(["x"], extra={"x": saying(said)})


@pytest.mark.parametrize("said", [1.0, 1, (1, 0)])
def test_a_version_that_is_no_string_is_refused(said: object) -> None:
    with pytest.raises(PluginError, match=r"wanted a string, such as api = "):
        load_classes(["x"], extra={"x": saying(said)})


def test_a_version_is_compared_by_numbers() -> None:
    assert unusable("1.9", ours="1.10") == ""
    assert "newer scaler" in unusable("1.11", ours="1.9")
    assert "newer release of the plugin" in unusable("2.0", ours="10.0")


def test_only_the_version_is_told_where_it_is_wrong() -> None:
    """What else is seen in such a class may be right in the version that it is written for."""
    cls = saying(f"{MAJOR + 1}.0")
    cls.on_something_new = hookimpl(lambda self, thing: None)
    with pytest.raises(PluginError) as caught:
        load_classes(["x"], extra={"x": cls})
    assert "\n" not in str(caught.value)


def test_nothing_is_started_with_one_that_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.py").write_text(
        f'from scaler import hookimpl\nclass New:\n    api = "{MAJOR + 1}.0"\n'
        "    @hookimpl\n    async def check(self): ...\n"
    )
    (tmp_path / "scaler.toml").write_text('[scaler]\nplugin_dir = "."\n[plugins.new]\n')
    for command in ("run", "check"):
        assert main([command, "-c", str(tmp_path / "scaler.toml")]) == 4
        assert "install a newer scaler" in capsys.readouterr().err
    with pytest.raises(PluginError):
        load_settings(tmp_path / "scaler.toml")


def test_the_version_is_a_public_name() -> None:
    assert scaler.API == API == f"{MAJOR}.{MINOR}"
