"""Write docs/reference/faults.md: every fault and threat, with the tests that show what holds.

The marks are the tests' own names: `test_c35_…` shows something of C35, `test_d25_…` of D25.
`python tools/faultpage.py` writes the page; a test compares. No test is imported.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from faultrows import FAULTS, THREATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/reference/faults.md"
SHOWN = 3  # tests of a row that are named
NOT_YET = "**not yet**"

_MARK = re.compile(r"test_([cd]\d{1,2}(?:_[cd]\d{1,2})*)(?:_|$)")

_HEAD = """\
<!-- Made by tools/faultpage.py from the names of the tests: change it there. -->
# Faults and threats

What may go wrong (C) and what may be tried (D), what holds all the same, and the tests that show
it. A test says by its name what it shows: `test_c35_…` is of C35. Run those of a row with
`pytest -k c35`; what is below `tests/faults`, `tests/crash`, `tests/vm` and `tests/browser` is in
tiers of its own, which are named with their folder.
"""


def marked(sources: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """The tests of every row (`C35`), as file and name.

    Args:
        sources: The text of each file of tests, by its name.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for file, text in sources.items():
        for name in _tests(ast.parse(text, file)):
            if match := _MARK.match(name):
                for row in match[1].split("_"):
                    found.setdefault(f"{row[0].upper()}{int(row[1:])}", []).append((file, name))
    return found


def _tests(tree: ast.Module) -> Iterator[str]:
    """The names of tests that pytest would find: of functions, and of methods of test classes."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        if isinstance(node, ast.ClassDef) and not node.name.startswith("Test"):
            continue
        for each in inside:
            if isinstance(each, functions) and each.name.startswith("test_"):
                yield each.name


def sources() -> dict[str, str]:
    """Every file of tests that is part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*test_*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())
    return {name: (ROOT / name).read_text() for name in files}


def page(found: Mapping[str, list[tuple[str, str]]]) -> str:
    """The page."""
    parts = [_HEAD, f"{_sum('C', FAULTS, found)} {_sum('D', THREATS, found)}\n"]
    parts += ["## Faults\n", _table("C", FAULTS, "what happens", found)]
    parts += ["## Threats\n", _table("D", THREATS, "what is tried", found)]
    return "\n".join(parts)


def _sum(letter: str, rows: Mapping[int, object], found: Mapping[str, object]) -> str:
    missing = [f"{letter}{number}" for number in rows if f"{letter}{number}" not in found]
    what = "faults" if letter == "C" else "threats"
    shown = f"{len(rows) - len(missing)} of {len(rows)} {what} have a test"
    return f"{shown}; not yet: {', '.join(missing)}." if missing else f"{shown}."


def _table(
    letter: str,
    rows: Mapping[int, tuple[str, str]],
    first: str,
    found: Mapping[str, list[tuple[str, str]]],
) -> str:
    lines = [f"| | {first} | what holds | shown by |", "|---|---|---|---|"]
    for number, (what, holds) in rows.items():
        shown = _shown(found.get(f"{letter}{number}", []))
        lines.append(f"| {letter}{number} | {what} | {holds} | {shown} |")
    return "\n".join(lines) + "\n"


def _shown(tests: list[tuple[str, str]]) -> str:
    if not tests:
        return NOT_YET
    # one of each file before a second one of any: they show different sides of it
    turns = Counter[str]()
    order = []
    for file, name in tests:
        order.append((turns[file], file, name))
        turns[file] += 1
    order.sort(key=lambda each: each[0])
    named = [f"`{file}::{name}`" for _, file, name in order[:SHOWN]]
    if len(tests) > SHOWN:
        named.append("and more")  # (not how many: the page would change with every test)
    return "<br>".join(named)


def main() -> int:
    """Write it."""
    PAGE.write_text(page(marked(sources())))
    print(PAGE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
