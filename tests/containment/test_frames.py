"""Whose code a stack is in, and where it may be broken off."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from scaler.dispatch.driving import Guarded
from scaler.testing import FakeSource
from scaler.watchdog.frames import Place, homes, innermost, may_break

if TYPE_CHECKING:
    from pathlib import Path
    from types import CodeType

CALLER: CodeType = Guarded.send.__code__
HOMES = {"one": "/plugins/one.py", "many": "/site/many/"}
STEP = Place("/scaler/dispatch/driving.py", 1, CALLER)
RUN = Place("/trio/_core/_run.py", 1)


def place(file: str, line: int = 7) -> Place:
    return Place(file, line)


@pytest.mark.parametrize(
    ("files", "plugin"),
    [
        (["/plugins/one.py"], "one"),
        (["/lib/socket.py", "/site/many/deep/x.py"], "many"),
        (["/site/many/x.py", "/plugins/one.py"], "many"),
        (["/site/many.py"], None),
        (["/plugins/one.pyc", "/plugins/other/one.py"], None),
        ([], None),
    ],
    ids=["file", "below", "innermost", "beside a package", "not the file", "none"],
)
def test_the_innermost_frame_of_a_plugin_s_tells_whose_it_is(
    files: list[str], plugin: str | None
) -> None:
    found = innermost([place(file) for file in files], HOMES)
    assert (found and found[0]) == plugin


@pytest.mark.parametrize(
    ("places", "may"),
    [
        ([place("/plugins/one.py"), STEP, RUN], True),
        ([place("/plugins/one.py"), place("/plugins/one.py", 9), STEP, RUN], True),
        ([place("/lib/threading.py"), place("/plugins/one.py"), STEP], False),
        ([place("/plugins/one.py"), place("/lib/json.py"), place("/plugins/one.py"), STEP], False),
        ([place("/plugins/one.py"), RUN, STEP], False),
        ([place("/site/many/x.py"), STEP], False),
        ([place("/plugins/one.py"), RUN], False),
        ([place("/plugins/one.py")], False),
        ([STEP], False),
        ([], False),
    ],
    ids=[
        "its own",
        "its own twice",
        "in a library",
        "called back by a library",
        "called by trio",
        "another plugin's",
        "no call of ours",
        "nothing around",
        "not in the plugin",
        "nothing",
    ],
)
def test_c41_only_what_is_the_plugin_s_alone_is_broken_off(places: list[Place], may: bool) -> None:
    assert may_break(places, HOMES["one"], CALLER) is may


def test_a_plugin_is_at_home_in_its_package_or_its_file() -> None:
    gone = type("Gone", (), {"__module__": "no_such_module"})
    assert homes({"gone": gone}) == {}
    assert homes({"file": textwrap.TextWrapper}) == {"file": textwrap.__file__}


@pytest.mark.parametrize("cls", [Place, FakeSource], ids=lambda cls: str(cls.__name__))
def test_c41_nothing_is_broken_off_in_scaler_s_own_code(cls: type) -> None:
    assert homes({"ours": cls}) == {}


def test_the_plugin_further_within_is_told() -> None:
    homes = {"site": "/site/acme/", "scaling": "/site/acme/scaling/"}
    there = place("/site/acme/scaling/x.py")
    assert innermost([there], homes) == ("scaling", there)


def test_a_plugin_is_at_home_below_its_own_package_alone(tmp_path: Path) -> None:
    site = tmp_path / "acme"
    for folder in (site, site / "scaling"):
        folder.mkdir()
        (folder / "__init__.py").touch()
    (site / "scaling" / "plugin.py").write_text("class Plugin: pass\n")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from acme.scaling.plugin import Plugin
from scaler.watchdog.frames import homes
print(homes({"it": Plugin})["it"])
"""
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"{site}/scaling/\n"
