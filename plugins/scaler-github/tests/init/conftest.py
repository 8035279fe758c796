"""A folder to write into, and generated files loaded as `scaler run` would load them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scaler import FatalError, load_settings
from scaler_github.init import command
from scaler_github.init.document import Document
from scaler_github.init.translation import shown

ROOT = Path(__file__).parents[4]


class Anything(Mapping[str, str]):
    """An environment with every variable: a secret of 64 letters."""

    def __getitem__(self, key: str) -> str:
        return "0123456789abcdef" * 4

    def __contains__(self, key: object) -> bool:
        return True

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An App's private key."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path_factory.mktemp("keys") / "app.pem"
    path.write_bytes(
        made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that generated settings name, for all examples of a property."""
    made = tmp_path_factory.mktemp("site")
    (made / "cloud-boot.sh").write_text("true\n")
    (made / "token").write_text("t" * 40)
    (made / "token").chmod(0o600)
    return made


def load(text: str, folder: Path) -> Any:
    """Settings from a text, as if it lay in that folder."""
    path = folder / "scaler.toml"
    path.write_text(text)
    return load_settings(path, environ=Anything())[0]


def ran(*argv: str) -> int:
    """The exit code of `scaler init …`; what is wrong goes to the standard error."""
    try:
        return command(list(argv))
    except FatalError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except SystemExit as stop:
        return int(stop.code or 0)


def leaves(data: Any, place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The place of every value; an empty map or list is one."""
    if isinstance(data, dict) and data:
        return [leaf for key, one in data.items() for leaf in leaves(one, (*place, str(key)))]
    if isinstance(data, list) and data:
        return [leaf for at, one in enumerate(data) for leaf in leaves(one, (*place, str(at)))]
    return [place]


def unaccounted(data: Any, document: Document, name: str) -> list[str]:
    """The values that are neither said to be where a setting came from, nor listed as left out.

    What is left out may be listed by what it is part of; what was taken is named itself.
    """
    listed = {note.path.removesuffix(f" in {name}") for note in document.notes}
    listed |= {path.partition(f" in {name}")[0] for path in listed}
    origins = [*document.origins.values(), *(why for _, why in document.later.values())]
    taken = {found for text in origins for found in re.findall(rf"(\S+) in {name}", text)}
    lost = []
    for leaf in leaves(data):
        parts = [shown(leaf[:count]) for count in range(1, len(leaf) + 1)]
        if parts[-1] not in taken and not listed.intersection(parts):
            lost.append(parts[-1])
    return lost
