"""Whose code a stack is in, and where it may be broken off."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from scaler.dispatch.driving import Guarded
from scaler.watchdog.frames import Place, homes, innermost, may_break

if TYPE_CHECKING:
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
    found = homes({"here": Place, "gone": type("Gone", (), {"__module__": "no_such_module"})})
    assert found["here"].endswith("/scaler/")
    assert "gone" not in found
    assert homes({"file": textwrap.TextWrapper}) == {"file": textwrap.__file__}
