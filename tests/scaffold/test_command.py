"""`scaler plugin new`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from scaler.cli.main import main
from scaler.scaffold import KINDS

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def unspaced(text: str) -> str:
    return "".join(text.split())


@pytest.mark.once
def test_help_is_as_the_reference_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "--help"]) == 0
    page = unspaced((ROOT / "docs/reference/commands.md").read_text())
    assert unspaced("$ scaler plugin new --help\n" + capsys.readouterr().out) in page


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_whole(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "my-cloud", "--kind", kind]) == 0
    folder = tmp_path / "scaler-my-cloud"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files >= {"README.md", "pyproject.toml", "scaler.toml", "tests/test_plugin.py"}
    assert files >= {f"src/scaler_my_cloud/{name}" for name in ("plugin.py", "py.typed")}
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert "scaler>=0.1,<1" in project["dependencies"]  # from 1.8 on it is somebody else's
    assert project["entry-points"] == {"scaler.plugins": {"my-cloud": "scaler_my_cloud:MyCloud"}}
    said = capsys.readouterr().out
    assert "1. cd scaler-my-cloud " in said
    named = re.findall(r"\bsrc/[\w/.]+", said + (folder / "README.md").read_text())
    assert named
    assert set(named) <= files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("single", [False, True])
def test_it_imports_only_what_a_third_party_may(kind: str, single: bool, tmp_path: Path) -> None:
    args = ["plugin", "new", "my-cloud", "--kind", kind, *(["--file"] if single else [])]
    assert main(args) == 0
    for file in tmp_path.rglob("*.py"):
        modules = [
            node.module or ""
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom) and not node.level
        ]
        ours = {name for name in modules if name.split(".")[0] == "scaler"}
        assert ours <= {"scaler", "scaler.testing"}, file
        assert not any("$" in line for line in file.read_text().splitlines()), file


def test_one_file_for_a_folder_of_plugins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = ["plugin", "new", "my-cloud", "--kind", "provisioner", "--file", "--dir", "plugins"]
    assert main(new) == 0
    assert [file.name for file in (tmp_path / "plugins").iterdir()] == ["my_cloud.py"]
    assert 'plugin_dir = "plugins"' in capsys.readouterr().out
    assert main(new) == 2
    told = capsys.readouterr()
    assert (told.out, "found something at plugins/my_cloud.py" in told.err) == ("", True)


@pytest.mark.parametrize(
    ("folder", "means"),
    [
        (".", "."),
        ("plugins", "plugins"),
        ("../a/plugins", "../a/plugins"),
        ('odd "name\\"""', 'odd "name\\"""'),
    ],
)
def test_one_file_names_the_folder_that_it_is_in(
    folder: str, means: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = ["plugin", "new", "my-cloud", "--kind", "provisioner", "--file", "--dir", folder]
    assert main(new) == 0
    shown = ast.get_docstring(ast.parse((tmp_path / folder / "my_cloud.py").read_text())) or ""
    settings = tomllib.loads(shown.partition("\n\n")[2])
    assert settings["scaler"]["plugin_dir"] == means
    said = re.search(r"1\. (plugin_dir = .*)", capsys.readouterr().out)
    assert said
    assert tomllib.loads(said[1]) == {"plugin_dir": means}


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_its_settings_need_is_told(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugin", "new", "my-cloud", "--kind", kind]) == 0
    steps = re.findall(r"^  \d\. (.*?)  ", capsys.readouterr().out, re.MULTILINE)
    file = (tmp_path / "scaler-my-cloud/scaler.toml").read_text()
    wanted = [f"export {name}=…" for name in re.findall(r'env = "(\w+)"', file)]
    wanted += [f"mkdir {name}" for name in re.findall(r'^folder = "(\w+)"', file, re.MULTILINE)]
    assert wanted
    assert steps[-1 - len(wanted) :] == [*wanted, "scaler check -c scaler.toml"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_makes_when_tried_is_not_to_be_committed(kind: str, tmp_path: Path) -> None:
    assert main(["plugin", "new", "my-cloud", "--kind", kind]) == 0
    folder = tmp_path / "scaler-my-cloud"
    settings = tomllib.loads((folder / "scaler.toml").read_text())
    made = [settings["scaler"]["state_dir"], settings["plugins"]["my-cloud"].get("folder")]
    for name in filter(None, made):
        (folder / name).mkdir()
        (folder / name / "linux.1@try").write_text("a secret")
    git = shutil.which("git")
    assert git
    subprocess.run([git, "init", "-q"], cwd=folder, check=True, timeout=60)
    listed = [git, "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(
        listed, cwd=folder, check=True, timeout=60, capture_output=True, text=True
    ).stdout.splitlines()
    assert "scaler.toml" in seen
    assert not [file for file in seen if file.endswith("@try")]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("github", "it is scaler-github"),
        ("scaler-x", 'wanted "x"'),
        ("email", "Python's own"),
        ("A", "a-z"),
        ("panel", "one whose class, Panel, means nothing else"),
    ],
)
def test_a_name_that_is_refused_leaves_nothing(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugin", "new", name, "--kind", "panel"]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_there_is_not_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "my-cloud", "--kind", "provisoner"]) == 2
    told = capsys.readouterr().err
    assert all(kind in told for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in KINDS for name in ("none", "exception", "context")),
        ("provisioner", "machine"),
        ("source", "runner"),
        ("selector", "permit"),
        ("panel", "view"),
    ],
)
def test_its_class_takes_nobodys_name(kind: str, name: str, tmp_path: Path) -> None:
    assert main(["plugin", "new", name, "--kind", kind]) == 2
    assert list(tmp_path.iterdir()) == []
    assert main(["plugin", "new", f"my-{name}", "--kind", kind]) == 0
