"""The rules of the design that the source itself can be asked about.

Each rule is a function from source text to complaints. It is applied to the tree, and to a
small offending snippet, so that it is known to be able to fail.
"""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
CORE = ROOT / "src"
PLUGINS = {path.parent.name: path for path in sorted(ROOT.glob("plugins/*/src"))}
EXAMPLES = {path.parent.name: path for path in sorted(ROOT.glob("docs/examples/*/src"))}
FIRST_PARTY = {
    *("scaler", "scaler_github", "scaler_libvirt", "scaler_monitor"),
    *("scaler_forgejo", "scaler_process"),
}
MAX_LINES = 400
MAY_BE_LONGER = {"src/scaler/hooks.py"}  # the hooks' declaration is a contract, read as one

PURE_CORE = ("scaler.model", "scaler.records", "scaler.errors", "scaler.units")
WITH_EFFECTS = {
    *("asyncio", "fcntl", "http", "httpx", "importlib", "io", "libvirt", "logging", "mmap"),
    *("multiprocessing", "os", "pathlib", "queue", "secrets", "select", "selectors", "shutil"),
    *("signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading"),
    *("time", "trio", "urllib"),
}

FOREIGN = (
    *(("github",), ("git", "hub"), ("scale", "set"), ("scaleset",), ("jit",)),
    *(("libvirt",), ("lib", "virt"), ("http",), ("https",)),
)


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module, with its full name."""

    module: str
    line: int
    in_function: bool = False
    for_types: bool = False  # under `if TYPE_CHECKING`, so it does not happen at run time


# --- reading ---------------------------------------------------------------------------


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache  # several rules ask about the same file
def imports(source: str, module: str, *, package: bool = False) -> tuple[Import, ...]:
    """All imports of a module. `from a import b` counts as `a.b`, since b may be a module."""
    base = module.split(".") if package else module.split(".")[:-1]
    found: list[Import] = []

    def visit(node: ast.AST, *, inside: bool, types: bool) -> None:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = base[: len(base) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            names = []
            inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                for statement in node.body:
                    visit(statement, inside=inside, types=True)
                for statement in node.orelse:
                    visit(statement, inside=inside, types=types)
                return
            for child in ast.iter_child_nodes(node):
                visit(child, inside=inside, types=types)
        line = getattr(node, "lineno", 0)
        found.extend(
            Import(module=name, line=line, in_function=inside, for_types=types) for name in names
        )

    visit(ast.parse(source), inside=False, types=False)
    return tuple(found)


def within(module: str, *packages: str) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in packages)


def top(module: str) -> str:
    return module.partition(".")[0]


def identifiers(source: str) -> Iterator[str]:
    """Every name that the source gives or uses; text in strings and comments is not one."""
    for node in ast.walk(ast.parse(source)):
        for field, value in ast.iter_fields(node):
            if field == "value" or isinstance(node, ast.Constant):
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str):
                    yield from each.split(".")


def words(identifier: str) -> list[str]:
    """The words in an identifier: "HTTPServer_jitConfig" is http, server, jit, config."""
    found = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", identifier)
    return [word.lower() for word in found]


# --- rules -----------------------------------------------------------------------------


def plugin_source(source: str, module: str) -> list[str]:
    """A plugin imports of the core what its top level names, and no other plugin."""
    own = top(module)
    complaints = []
    for each in imports(source, module):
        if top(each.module) == "scaler" and (
            each.module.count(".") > 1 or within(each.module, "scaler.testing")
        ):
            complaints.append(f"{each.line}: {each.module} is not a public name of scaler")
        elif top(each.module) in FIRST_PARTY - {"scaler", own}:
            complaints.append(f"{each.line}: {each.module} is another distribution")
    return complaints


def plugin_tests(source: str, module: str) -> list[str]:
    """Tests of a plugin may use `scaler.testing` too."""
    complaints = []
    own = module.split("/")[-2].replace("-", "_")
    for each in imports(source, "test"):
        deep = each.module.count(".") > 1 and not within(each.module, "scaler.testing")
        if top(each.module) == "scaler" and deep:
            complaints.append(f"{each.line}: {each.module} is not a public name of scaler")
        elif top(each.module) in FIRST_PARTY - {"scaler", own}:
            complaints.append(f"{each.line}: {each.module} is another distribution")
    return complaints


def github_client(source: str, module: str) -> list[str]:
    """GitHub's client and its simulator know nothing of scaler, nor of each other."""
    package = ".".join(module.split(".")[:2])
    return [
        f"{each.line}: {package} imports {each.module}"
        for each in imports(source, module)
        if top(each.module) in FIRST_PARTY and not within(each.module, package)
    ]


def pure(source: str, module: str) -> list[str]:
    """What decides can be run by a test without a clock, a loop or a disk."""
    complaints = []
    for each in imports(source, module):
        if top(each.module) == "scaler" and not within(each.module, *PURE_CORE):
            complaints.append(f"{each.line}: {each.module} is not of the pure core")
        elif top(each.module) in WITH_EFFECTS and not (
            each.for_types or each.module.startswith("pathlib.Pure")
        ):
            complaints.append(f"{each.line}: {each.module} has effects")
    return complaints


def core_imports(source: str, module: str) -> list[str]:
    """The core imports no plugin."""
    return [
        f"{each.line}: the core imports {each.module}"
        for each in imports(source, module)
        if top(each.module) in FIRST_PARTY - {"scaler"}
    ]


def at_the_top(source: str, module: str) -> list[str]:
    """No import hides in a function; the command line, which must be quick, may."""
    if within(module, "scaler.cli"):
        return []
    return [
        f"{each.line}: {each.module} is imported inside a function"
        for each in imports(source, module)
        if each.in_function
    ]


def own_words(source: str, _module: str) -> list[str]:
    """The core has no names for what only plugins know."""
    complaints = []
    for identifier in sorted(set(identifiers(source))):
        parts = words(identifier)
        complaints += [
            f"{identifier} speaks of {''.join(word)}"
            for word in FOREIGN
            if any(tuple(parts[at : at + len(word)]) == word for at in range(len(parts)))
        ]
    return complaints


def no_such_words(text: str, _path: str) -> list[str]:
    """Nothing in the repository depends on, or tells of, the machine that it was made on."""
    return [
        f"{text[: match.start()].count(chr(10)) + 1}: {match[0]}"
        for match in re.finditer(UNWANTED, text, re.IGNORECASE)
    ]


# Put together here, so that this file does not contain them.
UNWANTED = "|".join(
    [
        *(rf"(?<![\w.])/{name}/" for name in ("wo" + "rk", "ro" + "ot", r"ho" + r"me/\w+")),
        "py" + r"pi\.org",
        "python" + r"hosted\.org",
        "npm" + r"js\.(org|com)",
        r"(deb|security|archive|ports)\.(debian|ubuntu)" + r"\.(org|com)",
        r"\bsub" + r"-?agents?\b",
        r"\bcl" + r"aude\b",
        r"\banth" + r"ropic\b",
        r"\bll" + r"m\b",
        r"\bai" + r" (assistant|session)\b",
    ]
)


# --- the tree --------------------------------------------------------------------------


def python_files(*roots: Path) -> list[Path]:
    return [file for root in roots for file in sorted(root.rglob("*.py"))]


def complaints(rule: Callable[[str, str], list[str]], root: Path, package: str = "") -> list[str]:
    """Apply a rule to the modules of a package below a source folder."""
    found = []
    for file in python_files(root / package.replace(".", "/")):
        name = module_name(file, root)
        name += ".__init__" if file.name == "__init__.py" else ""  # relative imports start here
        found += [f"{file.relative_to(ROOT)}:{text}" for text in rule(file.read_text(), name)]
    return found


@pytest.mark.parametrize("plugin", [*PLUGINS, *EXAMPLES])
def test_plugins_import_the_public_core_and_no_other_plugin(plugin: str) -> None:
    assert complaints(plugin_source, (PLUGINS | EXAMPLES)[plugin]) == []


def test_the_example_in_one_file_imports_the_public_core() -> None:
    source = ROOT / "docs/examples/processes.py"
    assert plugin_source(source.read_text(), "processes") == []
    assert at_the_top(source.read_text(), "processes") == []


@pytest.mark.parametrize("plugin", [*PLUGINS, *EXAMPLES])
def test_tests_of_plugins_import_the_public_core_and_its_test_kit(plugin: str) -> None:
    folder = str((PLUGINS | EXAMPLES)[plugin].with_name("tests").relative_to(ROOT))
    found = [
        f"{file.relative_to(ROOT)}:{text}"
        for file in python_files(ROOT / folder)
        for text in plugin_tests(file.read_text(), folder)
    ]
    assert found == []


@pytest.mark.parametrize("package", ["scaler_github.client", "scaler_github.testing"])
def test_client_and_simulator_stand_alone(package: str) -> None:
    root = PLUGINS["scaler-github"]
    assert (root / package.replace(".", "/")).is_dir()
    assert complaints(github_client, root, package) == []


def test_the_model_is_pure() -> None:
    assert (CORE / "scaler/model").is_dir()
    assert complaints(pure, CORE, "scaler.model") == []


def test_the_core_imports_no_plugin() -> None:
    assert complaints(core_imports, CORE) == []


@pytest.mark.parametrize(
    "root", [CORE, *PLUGINS.values(), *EXAMPLES.values()], ids=lambda root: root.parent.name
)
def test_no_import_hides_in_a_function(root: Path) -> None:
    assert complaints(at_the_top, root) == []


def test_the_core_has_no_names_for_what_plugins_know() -> None:
    testing = "src/scaler/testing/"
    found = [text for text in complaints(own_words, CORE) if not text.startswith(testing)]
    assert found == []


def test_httpx_is_imported_in_one_place() -> None:
    """So that another client is a change of one module; what tests with it may have its own."""
    places = {
        module_name(file, root)
        for root in (CORE, *PLUGINS.values())
        for file in python_files(root)
        for each in imports(file.read_text(), module_name(file, root))
        if top(each.module) == "httpx" and ".testing" not in module_name(file, root)
    }
    assert len(places) == 1, places


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout: git knows no files here")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_files_stay_short() -> None:
    long = {
        name: lines
        for file in tracked()
        if file.suffix == ".py"
        and (name := str(file.relative_to(ROOT))) not in MAY_BE_LONGER
        and (lines := file.read_text().count("\n")) > MAX_LINES
    }
    assert long == {}


def test_no_file_tells_of_the_machine_it_was_made_on() -> None:
    found = []
    for file in tracked():
        name = str(file.relative_to(ROOT))
        text = file.read_bytes().decode(errors="ignore")
        found += [f"{name}:{complaint}" for complaint in no_such_words(f"{text}\n{name}", name)]
        if file.name.endswith(".lock") or file.name == "package-lock.json":
            found.append(f"{name}: a lock file names registries")
    assert found == []


# --- each rule can fail ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "module", "source", "said"),
    [
        (plugin_source, "scaler_github.queue", "from scaler.engine.state import S", "public"),
        (plugin_source, "scaler_github.queue", "from scaler.testing import fakes", "public"),
        (plugin_source, "scaler_github.queue", "import scaler_libvirt", "distribution"),
        (plugin_tests, "plugins/scaler-github/tests", "import scaler.engine.state", "public"),
        (plugin_tests, "plugins/scaler-github/tests", "import scaler_monitor", "distribution"),
        (github_client, "scaler_github.client.rest", "from scaler import Job", "scaler.Job"),
        (github_client, "scaler_github.testing.state", "from ..client import x", "client.x"),
        (pure, "scaler.model.plan", "import trio", "effects"),
        (pure, "scaler.model.plan", "from pathlib import Path", "effects"),
        (pure, "scaler.model.plan", "from ..engine import state", "pure core"),
        (core_imports, "scaler.app", "def f():\n import scaler_github", "scaler_github"),
        (at_the_top, "scaler.app", "async def f():\n  if x:\n    import json", "inside"),
        (own_words, "scaler.app", "class GitHubThing: ...", "github"),
        (own_words, "scaler.app", "x.scale_set_id = 1", "scaleset"),
        (own_words, "scaler.app", "f(jitConfig=1)", "jit"),
        (own_words, "scaler.app", "from x import HTTPServer as y", "http"),
        (own_words, "scaler.app", "def f(libvirt_uri): ...", "libvirt"),
        (no_such_words, "README.md", "see /wo" + "rk/main", "1: "),
        (no_such_words, "README.md", "one\npip -i https://py" + "pi.org", "2: "),
    ],
)
def test_the_rules_can_fail(
    rule: Callable[[str, str], list[str]], module: str, source: str, said: str
) -> None:
    assert any(said in text for text in rule(source, module))


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (plugin_source, "scaler_github.queue", "from scaler import Job\nfrom . import client"),
        (plugin_tests, "plugins/scaler-github/tests", "from scaler.testing.fakes import Fake"),
        (github_client, "scaler_github.client.rest", "import httpx\nfrom .types import Job"),
        (pure, "scaler.model.plan", "if TYPE_CHECKING:\n from pathlib import Path"),
        (pure, "scaler.model.plan", "from .rows import Row\nfrom scaler.records import Job"),
        (at_the_top, "scaler.cli.main", "def f():\n import trio"),
        (own_words, "scaler.app", "jitter = 'github'  # http\nrescale(sets)"),
        (no_such_words, "README.md", "network/workers, .github/workflows, /root-less"),
    ],
)
def test_the_rules_allow_what_is_meant(
    rule: Callable[[str, str], list[str]], module: str, source: str
) -> None:
    assert rule(source, module) == []
