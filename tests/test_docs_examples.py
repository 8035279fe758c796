"""The examples in the documentation are loaded, compiled and run.

A block of settings is completed where it is a fragment, by nothing but this:

- where it names none of them, `[plugins.github]` with a token, `[plugins.actions-queue]` and
  `[plugins.libvirt]`;
- every variable that it names by `env = "…"` is in the environment;
- `plugin_dir` holds the plugins of its own page: its Python blocks that begin with `# plugins/…`;
- files that it names below `boot_script` and `file` exist.
"""

from __future__ import annotations

import re
import secrets
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scaler import load_settings
from scaler.loading import load_classes

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("plugins/*/README.md")),
    # (the other is followed from top to bottom, by test_docs_tutorial.py)
    *(page for page in ROOT.glob("docs/**/*.md") if page.name != "write-a-provisioner.md"),
]

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PLUGIN = re.compile(r"\A# plugins/(\w+)\.py\n")
_PARTS = {
    "github": 'url = "https://github.com/acme"\ntoken = { env = "GITHUB_TOKEN" }',
    "actions-queue": "",
    "libvirt": "",
}


def blocks(path: Path, language: str) -> list[str]:
    found = _BLOCK.findall(path.read_text())
    return [textwrap.dedent(text) for _, name, text in found if name == language]


def every(language: str) -> list[Any]:
    return [
        pytest.param(path, text, id=f"{path.relative_to(ROOT)}-{number}")
        for path in PAGES
        for number, text in enumerate(blocks(path, language), 1)
    ]


def plugins_of(path: Path) -> dict[str, str]:
    """The plugins that a page shows, by name."""
    texts = {match[1]: text for text in blocks(path, "python") if (match := _PLUGIN.match(text))}
    return {name.replace("_", "-"): text for name, text in texts.items()}


def written(path: Path, folder: Path) -> Path:
    """A page's plugins in a folder."""
    (folder / "plugins").mkdir()
    for name, text in plugins_of(path).items():
        (folder / "plugins" / f"{name}.py").write_text(text)
    return folder / "plugins"


def _private_key(_authority: trustme.CA) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _plain(_authority: trustme.CA) -> bytes:
    return b"x\n"


_CONTENTS: dict[str, Callable[[trustme.CA], bytes]] = {
    "file .pem": _private_key,
    "ca_file .pem": lambda authority: authority.cert_pem.bytes(),
}


def completed(path: Path, text: str, folder: Path) -> Path:
    """A settings file of a block, and what it refers to."""
    written(path, folder)
    named = tomllib.loads(text).get("plugins", {})
    for name, part in _PARTS.items():
        if name not in named:
            text += f"\n[plugins.{name}]\n{part}\n"
    text = re.sub(r'plugin_dir = "[^"]*"', 'plugin_dir = "plugins"', text)
    authority = trustme.CA()
    for key in ("boot_script", "file", "ca_file"):
        for number, name in enumerate(re.findall(rf'\b{key} = "([^"]*)"', text)):
            stub = folder / f"{key}-{number}"
            stub.write_bytes(_CONTENTS.get(f"{key} {Path(name).suffix}", _plain)(authority))
            stub.chmod(0o600)
            text = text.replace(f'{key} = "{name}"', f'{key} = "{stub.name}"')
    file = folder / "scaler.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(("path", "text"), every("toml"))
def test_settings_in_the_pages_load(path: Path, text: str, tmp_path: Path) -> None:
    if "project" in tomllib.loads(text):  # a distribution's, not settings
        return
    secret = secrets.token_hex(32)
    environ = dict.fromkeys(re.findall(r'\benv = "(\w+)"', text), secret)
    environ.setdefault("GITHUB_TOKEN", secret)
    settings, loaded = load_settings(completed(path, text, tmp_path), environ=environ)
    assert loaded.keys() >= tomllib.loads(text).get("plugins", {}).keys()
    assert settings.profiles.keys() == tomllib.loads(text).get("profiles", {}).keys()


def test_there_are_settings_to_load() -> None:
    assert len(every("toml")) >= 6
    assert {"README.md", "settings.md", "plugins.md"} <= {
        case.values[0].name for case in every("toml")
    }


@pytest.mark.parametrize(("path", "text"), every("python"))
def test_python_in_the_pages_compiles(path: Path, text: str) -> None:
    compile(text, str(path), "exec")


@pytest.mark.parametrize("path", [path for path in PAGES if plugins_of(path)])
def test_plugins_in_the_pages_load(path: Path, tmp_path: Path) -> None:
    names = list(plugins_of(path))
    loaded = load_classes(names, plugin_dir=written(path, tmp_path))
    assert all(plugin.hooks for plugin in loaded.values())


def test_the_simulators_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = blocks(ROOT / "docs/reference/simulator.md", "python")
    exec(compile(text, "simulator.md", "exec"), {"__name__": "example"})
    assert "a client is given http://127.0.0.1:" in capsys.readouterr().out
