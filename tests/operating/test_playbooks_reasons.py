"""The page about jobs that wait has each reason that the code can give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from tests.operating.stage import ROOT

pytestmark = pytest.mark.operating

PAGE = ROOT / "docs/how-to/when-jobs-wait.md"
MODEL = "src/scaler/model"
# who gives reasons: a file, and the functions in it
GIVEN = {
    f"{MODEL}/reasons.py": ("reasons", "_shut", "_held_by", "_unlisted", "_limit"),
    f"{MODEL}/cases.py": ("aim",),
    f"{MODEL}/halt.py": ("why",),
    f"{MODEL}/orders.py": ("told",),
    f"{MODEL}/rooms.py": ("refusal", "lacks", "no_room", "_together"),
    "src/scaler/engine/view.py": ("_held",),
}
NO_REASON = {"%Y-%m-%d %H:%M", "its room", "end the override and begin a larger one"}


def literals(node: ast.AST) -> Iterator[str]:
    """The texts in it; what a `Why` is given second is a cure."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Why":
        for each in node.args[:1]:
            yield from literals(each)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from literals(child)


def reasons() -> set[str]:
    """Every part of a reason that is always the same: two words of it, or a long one."""
    found = set()
    for path, names in GIVEN.items():
        tree = ast.parse((ROOT / path).read_text())
        functions = [
            each
            for each in ast.walk(tree)
            if isinstance(each, ast.FunctionDef) and each.name in names
        ]
        assert {each.name for each in functions} == set(names), path
        for function in functions:
            body = function.body[1:] if ast.get_docstring(function) else function.body
            for statement in body:
                found |= {text.strip(" ,;:().") for text in literals(statement)}
    return {text for text in found if re.search(r"\w \w|\w{8}", text)} - NO_REASON


def missing(page: str) -> set[str]:
    rows = " ".join(line for line in page.splitlines() if line.startswith("|"))
    return {text for text in reasons() if text not in rows and "raise max_count" not in text}


def test_every_reason_stands_in_the_table() -> None:
    assert len(reasons()) > 15
    assert missing(PAGE.read_text()) == set()


def test_a_reason_that_is_not_there_is_found() -> None:
    page = PAGE.read_text().replace("backing off for", "").replace("declined by", "")
    assert missing(page) == {"backing off for", "declined by"}
