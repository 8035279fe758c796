"""What the documentation says, held against the code."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio

from scaler.cli.main import COMMANDS, main
from scaler.errors import ExitCode
from scaler.hooks import hook_names
from scaler_github.testing import Simulator
from scaler_github.testing.__main__ import build_parser
from scaler_github.testing.control import Control

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXPLANATION = sorted(DOCS.glob("explanation/*.md"))
PACKAGES = {path.name: path for path in [*ROOT.glob("src/*"), *ROOT.glob("plugins/*/src/*")]}


def page(name: str) -> str:
    return (DOCS / name).read_text()


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next of its level."""
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"there is no heading {heading!r}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """The rows of a Markdown table, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def unspaced(text: str) -> str:
    """A help text, no matter how a Python folds it and writes its options."""
    text = re.sub(r"(-\w) (\S+), (--\S+) \2", r"\1, \3 \2", text)
    return re.sub(r"\s+", " ", text).strip()


# --- names -----------------------------------------------------------------------------

_DOTTED = re.compile(r"`((?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*)`")
_FILES = re.compile(r"\.(md|toml|txt|py)$")
_SHORT = re.compile(r"\b(?:[A-Z]\w+\.\w+)\b")


def resolve(name: str) -> Any:
    """What a dotted name stands for; the core's names come without `scaler.`."""
    for full in (f"scaler.{name}", name):
        parts = full.split(".")
        for count in range(len(parts), 0, -1):
            try:
                found: Any = importlib.import_module(".".join(parts[:count]))
            except ImportError:
                continue
            try:
                for part in parts[count:]:
                    found = _member(found, part)
            except AttributeError:
                break
            return found
    raise LookupError(name)


def _member(owner: Any, name: str) -> Any:
    if dataclasses.is_dataclass(owner) and name in {f.name for f in dataclasses.fields(owner)}:
        return owner
    return getattr(owner, name)


def full_names(path: Path) -> list[str]:
    return [name for name in _DOTTED.findall(path.read_text()) if not _FILES.search(name)]


@pytest.mark.parametrize("path", EXPLANATION, ids=lambda path: path.stem)
def test_every_name_in_the_explanation_exists(path: Path) -> None:
    wrong = []
    for name in full_names(path):
        try:
            resolve(name)
        except LookupError:
            wrong.append(name)
    assert not wrong


def test_a_name_that_does_not_exist_would_be_found() -> None:
    assert inspect.isfunction(resolve("engine.steps.Steps.make"))
    for name in ("engine.steps.Steps.mak", "engine.stops", "nobody.knows.it"):
        with pytest.raises(LookupError):
            resolve(name)


def test_the_picture_of_a_job_uses_names_of_its_page() -> None:
    text = page("explanation/job.md")
    picture = text.split("```")[1]
    known = {".".join(name.split(".")[-2:]) for name in full_names(DOCS / "explanation/job.md")}
    short = set(_SHORT.findall(picture))
    assert len(short) > 10
    assert short <= known
    hooks = set(re.findall(r"\b(?:\w+_runner|acquire_jobs)\b", picture))
    assert hooks <= set(hook_names())


# --- dependencies ----------------------------------------------------------------------

_MODULES = {
    "PyJWT": "jwt",
    "PyYAML": "yaml",
    "libvirt-python": "libvirt",
    "prometheus-client": "prometheus_client",
    "quart-trio": "quart_trio",
}


def distributions() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
        project = tomllib.loads(file.read_text())["project"]
        yield project["name"], project


def required(requirements: list[str]) -> set[str]:
    names = {re.split(r"[^A-Za-z0-9._-]", each)[0] for each in requirements}
    return names - {"scaler"}


def explained(name: str) -> dict[str, str]:
    """The entries of a distribution: what each names, and its text."""
    entries = re.split(
        r"^- ", section(page("explanation/dependencies.md"), f"## {name}"), flags=re.MULTILINE
    )
    found = {}
    for entry in entries[1:]:
        head, _, text = entry.partition(":")
        for each in re.findall(r"\*\*(.+?)\*\*", head):
            found[each] = text
    return found


@cache
def imports_of(package: str) -> dict[str, set[str]]:
    """What each module of a package imports, by top-level names."""
    found: dict[str, set[str]] = {}
    for file in PACKAGES[package].rglob("*.py"):
        parts = file.relative_to(PACKAGES[package].parent).with_suffix("").parts
        names = found.setdefault(".".join(parts).removesuffix(".__init__"), set())
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return found


def importers(package: str, module: str) -> set[str]:
    return {name for name, imported in imports_of(package).items() if module in imported}


def test_every_direct_dependency_is_explained_and_none_more() -> None:
    for name, project in distributions():
        assert explained(name).keys() == required(project["dependencies"]), name
        for extra, requirements in project.get("optional-dependencies", {}).items():
            assert explained(extra).keys() == required(requirements), extra


def test_dependencies_are_imported_where_the_page_says() -> None:
    for name, _ in distributions():
        package = name.replace("-", "_")
        for dependency, text in explained(name).items():
            where = " ".join(text.partition("\n\n")[0].split()).partition("Imported in")[2]
            said = re.findall(r"`([\w.]+)`", where)
            real = importers(package, _MODULES.get(dependency, dependency))
            unsaid = {one for one in real if not any(f"{one}.".startswith(f"{s}.") for s in said)}
            unreal = {s for s in said if not any(f"{one}.".startswith(f"{s}.") for one in real)}
            assert (unsaid, unreal) == (set(), set()), f"{name}: {dependency}"


# --- hooks -----------------------------------------------------------------------------


def called_by_the_core() -> set[str]:
    source = "".join(file.read_text() for file in PACKAGES["scaler"].rglob("*.py"))
    return set(re.findall(r"\bSPEC\.(\w+)", source))


def test_every_hook_is_called_by_the_core() -> None:
    assert set(hook_names()) <= called_by_the_core()


# --- commands --------------------------------------------------------------------------


def shown(text: str, command: str) -> str:
    found = re.search(rf"```console\n\$ {re.escape(command)}\n(.*?)```", text, re.DOTALL)
    assert found, f"the page does not show `{command}`"
    return found[1]


@pytest.mark.parametrize("name", ["", *COMMANDS, "demo", "images"])
def test_help_is_as_the_reference_shows_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [name] if name else []
    assert main([*words, "--help"]) == 0
    command = " ".join(["scaler", *words, "--help"])
    assert unspaced(shown(page("reference/commands.md"), command)) == unspaced(
        capsys.readouterr().out
    )


def test_every_exit_code_is_told_of() -> None:
    source = (PACKAGES["scaler"] / "errors.py").read_text()
    comments = dict(re.findall(r"^    ([A-Z]+) = \d+  #: (.+)$", source, re.MULTILINE))
    rows = table(section(page("reference/commands.md"), "## Exit codes"))
    assert [(int(code), meaning) for code, meaning in rows[: len(ExitCode)]] == [
        (code.value, comments[code.name]) for code in ExitCode
    ]


# --- the simulator ---------------------------------------------------------------------


def test_the_simulators_help_is_as_the_reference_shows_it() -> None:
    command = "python -m scaler_github.testing --help"
    expected = unspaced(build_parser().format_help())
    assert unspaced(shown(page("reference/simulator.md"), command)) == expected


def test_every_control_route_is_in_the_reference() -> None:
    text = section(page("reference/simulator.md"), "## Control")
    told = {tuple(row[0].strip("`").split(" ")) for row in table(text)}
    real = {*Control(Simulator())._calls, ("POST", "connections/drop")}
    assert told == real


async def test_the_control_requests_in_the_pages_are_understood() -> None:
    """Every `curl` of the pages, played on a simulator that has what they speak of."""
    pages = [path.read_text() for path in DOCS.rglob("*.md")]
    text = "\n".join(pages).replace("\\\n", " ")
    calls = re.findall(r"^\$ curl -s(?: -d '(.*)')? \S*/_control/(\S+)$", text, re.MULTILINE)
    assert len(calls) > 4
    simulator = Simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        simulator.create_scale_set("linux")
        async with httpx.AsyncClient(base_url=f"{simulator.origin}/_control/") as client:
            for body, route in calls:
                if body:
                    answer = await client.post(route, json=json.loads(body))
                else:
                    answer = await client.get(route)
                assert answer.status_code in (200, 404), (route, answer.text)
                assert "no such call" not in answer.text, route
        nursery.cancel_scope.cancel()
