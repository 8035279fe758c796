"""The page of faults and threats says what the tests' names say, and names nothing twice."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The tool that makes the page."""
    spec = importlib.util.spec_from_file_location("faultpage", ROOT / "tools/faultpage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def test_the_page_is_as_the_tests_are_named(tool: ModuleType) -> None:
    """Whoever adds or renames a test that changes it has to write it anew."""
    made = tool.page(tool.marked(tool.sources()))
    assert tool.PAGE.read_text() == made, "it is old: python tools/faultpage.py"


def test_no_test_is_of_a_row_that_there_is_not(tool: ModuleType) -> None:
    """A number that was mistyped would show nothing, and nobody would see it."""
    rows = {f"C{number}" for number in tool.FAULTS} | {f"D{number}" for number in tool.THREATS}
    strangers = {
        row: tests for row, tests in tool.marked(tool.sources()).items() if row not in rows
    }
    assert not strangers


def test_what_stands_on_the_page_can_be_run(tool: ModuleType) -> None:
    """The files and the functions that it names are there."""
    named = re.findall(r"`([\w/.-]+\.py)::(\w+)`", tool.PAGE.read_text())
    assert len(named) > 80
    for file, name in named:
        assert re.search(rf"^ *(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), (
            file,
            name,
        )


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_c35_cut_anywhere", ["C35"]),
        ("test_c36_c37_hangs", ["C36", "C37"]),
        ("test_d9", ["D9"]),
        ("test_c3po", []),
        ("test_of_c35", []),
    ],
)
def test_marks(tool: ModuleType, name: str, rows: list[str]) -> None:
    """A name may be of several rows."""
    found = tool.marked({"test_x.py": f"async def {name}(): ...\n"})
    assert list(found) == rows


def test_a_row_without_tests_says_so(tool: ModuleType) -> None:
    """Nothing is passed over."""
    text = tool.page({"C1": [("tests/test_x.py", "test_c01_y")]})
    assert "1 of 50 faults have a test; not yet: C2, C3," in text
    assert f"| C2 | {tool.FAULTS[2][0]} | {tool.FAULTS[2][1]} | {tool.NOT_YET} |" in text
