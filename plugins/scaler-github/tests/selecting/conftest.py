"""The plugin `artifact-select` before the simulator, both in memory, on a clock that jumps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler import Context, Profile, Refused, SecretSource, Selection, SelectionRequest
from scaler_github.client.transport import Transport
from scaler_github.connection import GitHub
from scaler_github.selecting import ArtifactSelect
from scaler_github.testing import Artifact, Simulator
from scaler_github.testing.http import Request

ORIGIN, BLOBS = "http://127.0.0.1:8", "http://127.0.0.1:9"
BEGIN = 1_800_000_000.0
REPO = "acme/widgets"
UNIQUE = "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11"
PREFIX = "servo-ci-runners_"


class Wire:
    """The way to the simulator, on both its ports; requests are kept as they were sent."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self.sent: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        headers = {name.lower(): text for name, text in request.headers.items()}
        target = request.url.raw_path.decode()
        asked = Request(request.method, target, headers, request.content, 1)
        found = await self._sim._front.handle(asked)
        if found.ending != "normal":
            raise httpx.ReadError("the connection broke")
        date = formatdate(self._sim.now, usegmt=True)
        return httpx.Response(
            found.status, headers={"date": date, **found.headers}, content=found.body
        )


class Core:
    """What the core is to a plugin that only answers: siblings, and a line for people."""

    def __init__(self) -> None:
        self.siblings: dict[type[Any], Any] = {}
        self.told: list[tuple[str, bool]] = []

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        return self.siblings[cls]

    def report(self, plugin: str, text: str, ok: bool, *more: Any) -> None:
        self.told.append((text, ok))


class World:
    """The simulator, the two plugins, and a run that asks."""

    def __init__(self, sim: Simulator, wire: Wire, folder: Path) -> None:
        self.sim = sim
        self.wire = wire
        self.core = Core()
        self._folder = folder
        self.profiles = {"linux": Profile(name="linux"), "bench": Profile(name="bench")}
        self.run = sim.add_run(REPO)
        self.select: Any = None
        self.github: Any = None
        self.build()

    def build(self, **settings: Any) -> None:
        """(Again) as after a start of the process."""
        token = SecretSource(env="TOKEN", environ={"TOKEN": self.sim.token})
        config = GitHub.Config(url=f"{ORIGIN}/acme", token=token)
        self.github = GitHub(self._context("github", config))
        self.core.siblings[GitHub] = self.github
        given = {"allowed_repos": ("acme/*",), **settings}
        mine = ArtifactSelect.Config(**given)
        self.select = ArtifactSelect(self._context("artifact-select", mine))

    def _context(self, name: str, config: Any) -> Context[Any, Any]:
        return Context(
            name=name,
            scaler="host-1",
            config=config,
            profiles=self.profiles,
            own={},
            folder=self._folder,
            log=logging.LoggerAdapter(logging.getLogger(f"test.{name}")),
            stopping=trio.Event(),
            core=self.core,  # type: ignore[arg-type]
        )

    # Asking

    def text(self, **changed: str | None) -> str:
        """A good proof, with some lines changed, or left out."""
        fields: dict[str, str | None] = {
            "unique_id": UNIQUE,
            "qualified_repo": REPO,
            "run_id": str(self.run.id),
            "self_hosted_image_name": "linux",
            **changed,
        }
        return "".join(f"{key}={value}\n" for key, value in fields.items() if value is not None)

    def prove(self, content: str | bytes | None = None, **more: Any) -> Artifact:
        """Make the artifact of the run."""
        text = self.text() if content is None else content
        name = more.pop("name", f"{PREFIX}{UNIQUE}")
        return self.sim.add_artifact(more.pop("run", self.run.id), name, text, **more)

    async def ask(self, **changed: Any) -> Selection:
        fields = {"unique_id": UNIQUE, "qualified_repo": REPO, "run_id": str(self.run.id)}
        made = await self.select.select_runner(SelectionRequest(**{**fields, **changed}))
        assert made is not None
        found: Selection = made
        return found

    async def no(self, **changed: Any) -> str:
        """The code of a refusal."""
        with pytest.raises(Refused) as caught:
            await self.ask(**changed)
        assert str(caught.value)
        return caught.value.code

    def calls(self) -> int:
        """Calls of the REST API, which the credential is charged for."""
        return sum(count for name, count in self.sim.history.counts.items() if name != "blob")


@pytest.fixture
async def world(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    async def at_once(function: Callable[..., Any], *args: Any, **_options: Any) -> Any:
        await trio.lowlevel.checkpoint()  # while a thread worked, the clock would jump
        return function(*args)

    monkeypatch.setattr("scaler_github.client.tokens.trio.to_thread.run_sync", at_once)
    sim = Simulator()
    sim._world.clock._offset = BEGIN - trio.current_time()
    sim._site.origin, sim._site.blob_origin = ORIGIN, BLOBS
    wire = Wire(sim)
    made = partial(Transport, handler=httpx.MockTransport(wire), authorities=False)
    monkeypatch.setattr("scaler_github.account.account.Transport", lambda **_: made())
    return World(sim, wire, tmp_path)
