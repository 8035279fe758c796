"""The two plugins whose checks are asked, and the simulator or a script behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from scaler import Context, Finding, Profile, Secret, SecretSource
from scaler_github.account import App, Connection
from scaler_github.connection import GitHub
from scaler_github.queue import ActionsQueue
from scaler_github.testing import Simulator


class Core:
    """What the core is to a check: siblings."""

    def __init__(self) -> None:
        self.siblings: dict[type[Any], Any] = {}

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        return self.siblings[cls]


class Checked:
    """Two plugins as `scaler check` builds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profiles = {"linux": Profile(name="linux", labels=("x64",), source="actions-queue")}
        self.queue_own: dict[str, Any] = {"linux": ActionsQueue.ProfileConfig()}
        self.rest_own: dict[str, Any] = {}
        self.queue: Any = None
        self.github: Any = None

    def build(
        self,
        url: str,
        token: str = "",
        *,
        app: App | None = None,
        more: Mapping[str, Connection] | None = None,
        **fields: Any,
    ) -> Checked:
        """Build them anew, with these settings of `[plugins.github]`."""
        source = None if app is not None else self.token(token)
        config = GitHub.Config(url=url, token=source, app=app, connections=more or {}, **fields)
        core = Core()
        self.github = GitHub(self._context("github", config, self.rest_own, core))
        core.siblings[GitHub] = self.github
        settings = ActionsQueue.Config()
        self.queue = ActionsQueue(self._context("actions-queue", settings, self.queue_own, core))
        for account in self.github.accounts:
            account.credentials._pause = 0.0
        return self

    def token(self, text: str) -> SecretSource:
        """A file that holds this token."""
        file = self.folder / f"token-{len(list(self.folder.iterdir()))}"
        file.write_text(text)
        file.chmod(0o600)
        return SecretSource(file=file)

    def _context(self, name: str, config: Any, own: Any, core: Any) -> Context[Any, Any]:
        return Context(
            name=name,
            scaler="host-1",
            config=config,
            profiles=self.profiles,
            own=own,
            folder=self.folder,
            log=logging.LoggerAdapter(logging.getLogger(f"test.{name}")),
            stopping=trio.Event(),
            core=core,
        )


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


@pytest.fixture
def sim_options() -> dict[str, Any]:
    return {}


@pytest.fixture
async def sim(nursery: trio.Nursery, sim_options: dict[str, Any]) -> Simulator:
    simulator = Simulator(**sim_options)
    await nursery.start(simulator.serve)
    return simulator


@cache
def _key(number: int) -> RSAPrivateKey:
    assert number >= 0
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def private() -> Callable[[int], Secret]:
    """The private key of this number, as GitHub gives it."""

    def pem(number: int) -> Secret:
        form = PrivateFormat.TraditionalOpenSSL
        return Secret(_key(number).private_bytes(Encoding.PEM, form, NoEncryption()).decode())

    return pem


@pytest.fixture
def public() -> Callable[[int], str]:
    """The public key of this number."""

    def pem(number: int) -> str:
        form = PublicFormat.SubjectPublicKeyInfo
        return _key(number).public_key().public_bytes(Encoding.PEM, form).decode()

    return pem


@pytest.fixture(scope="module")
def app() -> App:
    made = object.__new__(App)  # its key is of no matter here
    for name, value in (("client_id", "Iv1.a"), ("installation_id", 42)):
        object.__setattr__(made, name, value)
    object.__setattr__(made, "private_key", Secret("key"))
    return made


def _told(findings: list[Finding]) -> list[str]:
    words = {"required": "WRONG", "useful": "warn", "unseen": "unseen"}
    return [
        f"{'ok' if each.ok else words[each.need]} {each.text}{' -> ' * bool(each.fix)}{each.fix}"
        for each in findings
    ]


@pytest.fixture
def told() -> Callable[[list[Finding]], list[str]]:
    """Findings as lines, as `scaler check` shows them."""
    return _told
