"""A core that tests can tell what to answer, behind a real Context, before it the application."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trio
from quart import Quart

from scaler import (
    Context,
    Guest,
    GuestUnknown,
    Kept,
    Machine,
    Override,
    Picture,
    Profile,
    ProfileView,
    Refused,
    Registration,
    Report,
    Reservation,
    Runner,
    RunnerState,
    Secret,
    SecretSource,
    Selection,
    SelectionRequest,
    View,
)
from scaler_monitor import app
from scaler_monitor.page.live import Live
from scaler_monitor.plugin import Monitor
from scaler_monitor.serving.tokens import Tokens
from scaler_monitor.settings import Config
from scaler_monitor.site import Door, Site

TOKEN = "7d0a41c6f2b93e85" * 3
UNIQUE = "6c0f4f3a-9b3e-4c58-8f0e-3a8d4f3c2b1a"
WHO = f"unique_id={UNIQUE}&qualified_repo=acme/widget&run_id=42"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PNG = b"\x89PNG\r\n\x1a\n a screen"

LINUX = Profile(
    name="linux", labels=("self-hosted-image:linux",), source="rest", target_count=3, max_count=4
)
WINDOWS = Profile(name="windows", source="rest", max_count=2)


def runner(number: int, state: RunnerState = RunnerState.IDLE, profile: str = "linux") -> Runner:
    name = f"{profile}.{number}@here"
    return Runner(
        id=number,
        name=name,
        profile=profile,
        state=state,
        created=900.0,
        since=950.0,
        source="rest",
        registration=Registration(name=name, ref=str(100 + number), online=True, busy=False),
        machine=Machine(runner=number, id=f"machine-{number}", addresses=(f"10.0.0.{number}",)),
    )


@dataclass
class FakeGuest:
    """A guest that is given what it says, or what it raises."""

    profile: str = "linux"
    runner: int | None = 1
    gives: str | Exception = "#!/bin/sh\n# schön\n"

    async def boot(self) -> str:
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives

    async def registration(self) -> Secret:
        return Secret(await self.boot())


@dataclass
class FakeCore:
    """The core's side of Context. What a test sets in `errors` is raised by the call of that name.

    Attributes:
        calls: What was asked, in order.
    """

    errors: dict[str, Exception] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    idle: list[Runner] = field(default_factory=lambda: [runner(1), runner(2), runner(3)])
    selection: Selection = field(default_factory=lambda: Selection(profile="linux"))
    guests: dict[tuple[str, str | None], FakeGuest] = field(default_factory=dict)
    pictures: dict[int | str, Picture] = field(default_factory=dict)
    evidence: dict[int | str, tuple[Kept, ...]] = field(default_factory=dict)
    items: dict[int | str, bytes] = field(default_factory=dict)
    gate: trio.Event | None = None
    now: View = field(
        default_factory=lambda: View(
            version=1,
            time=1000.0,
            scaler="here",
            stopping=False,
            profiles={
                each.name: ProfileView(profile=each, demand=1, target=2, ceiling=3, counts={})
                for each in (LINUX, WINDOWS)
            },
            jobs=(),
            runners=(runner(1), runner(2), runner(3)),
            rooms={},
            reports=(Report(plugin="rest", profile="", ok=True, text="polled", time=999.0),),
            waiting={},
            events=(),
        )
    )

    def change(self, **changes: Any) -> None:
        """Another view, one version later."""
        self.now = replace(self.now, version=self.now.version + 1, **changes)

    def _called(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        if name in self.errors:
            raise self.errors[name]

    def view(self) -> View:
        return self.now

    async def next_view(self, after: View) -> View:
        del after
        await trio.sleep_forever()
        raise AssertionError

    async def panels(self) -> Mapping[str, Any]:
        return {}

    def report(self, *_: Any) -> None:
        return None

    async def select(self, request: SelectionRequest) -> Selection:
        self._called("select", request)
        if self.gate is not None:
            await self.gate.wait()
        return self.selection

    async def take(
        self, selection: Selection, reservation: Reservation, wait: float
    ) -> tuple[Runner, ...]:
        self._called("take", (selection, reservation, wait))
        profile = self.now.profiles.get(selection.profile)
        if profile is None:
            raise LookupError(selection.profile)
        if selection.count > profile.profile.max_count:
            raise Refused("too-many", "wanted 4 at most")
        found = [each for each in self.idle if each.profile == selection.profile]
        if len(found) < selection.count:
            return ()
        taken = found[: selection.count]
        self.idle = [each for each in self.idle if each not in taken]
        return tuple(
            replace(each, state=RunnerState.RESERVED, reservation=reservation) for each in taken
        )

    def guest(self, address: str, secret: str | None) -> Guest:
        self._called("guest", (address, secret))
        try:
            return self.guests[address, secret]
        except KeyError:
            raise GuestUnknown("no machine is known by this address") from None

    async def override(self, counts: Mapping[str, int] | None, by: str) -> Mapping[str, int] | None:
        self._called("override", (counts, by))
        before = self.now.override
        if counts is None:
            self.change(override=None)
            return before.counts if before is not None else None
        self.change(override=Override(counts=counts, targets=counts, since=1.0, until=2.0, by=by))
        return counts

    async def screenshot(self, machine: Machine) -> Picture:
        self._called("screenshot", machine)
        if self.gate is not None:
            await self.gate.wait()
        return Picture(png=PNG, time=1000.0, etag="now")

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        return self.evidence.get(subject, ())

    async def read_kept(self, subject: int | str, name: str) -> bytes | None:
        del name
        self.calls.append(("evidence", subject))
        return self.items.get(subject)

    def picture(self, subject: int | str) -> Picture | None:
        self._called("picture", subject)
        return self.pictures.get(subject)


def make_site(core: FakeCore, folder: Path, config: Config | None = None) -> Site:
    behind: Any = core
    context: Context[Config, None] = Context(
        name="monitor",
        scaler="here",
        config=config or Config(),
        profiles={name: each.profile for name, each in core.now.profiles.items()},
        own={},
        folder=folder,
        log=logging.LoggerAdapter(logging.getLogger("scaler.plugins.monitor"), {}),
        stopping=trio.Event(),
        core=behind,
    )
    tokens = Tokens([SecretSource(env="TOKEN", environ={"TOKEN": TOKEN})])
    return Site(context, Live(context), base_url="https://ci.example.org/", tokens=tokens)


class Asked:
    """An answer, read."""

    def __init__(self, status: int, headers: Any, body: bytes, json: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.json = json

    @property
    def code(self) -> str:
        """The short word of an error."""
        found: str = self.json["error"]
        return found


class Asker:
    """Asks an application, as an address."""

    def __init__(self, built: Quart) -> None:
        self.app = built
        self._client: Any = built.test_client()

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: Any = None,
        address: str = "10.0.0.1",
        body: bytes | None = None,
    ) -> Asked:
        response = await self._client.open(
            path,
            method=method,
            headers=headers,
            data=body,
            scope_base={"client": (address, 4711)},
        )
        data: bytes = await response.get_data(as_text=False)
        json = await response.get_json() if response.is_json and data else None
        return Asked(response.status_code, response.headers, data, json)


def asking(
    core: FakeCore, folder: Path, config: Config | None = None, door: Door = Door.PEOPLE
) -> Asker:
    return Asker(app.build(make_site(core, folder, config), door))


@asynccontextmanager
async def served(core: FakeCore, folder: Path, **settings: Any) -> AsyncIterator[Monitor]:
    """A Monitor with this core behind it, on real sockets."""
    token = SecretSource(env="TOKEN", environ={"TOKEN": TOKEN})
    config = Config(listen=("127.0.0.1:0",), token=(token,), **settings)
    context = make_site(core, folder, config).context
    monitor = Monitor(context)
    async with trio.open_nursery() as nursery:
        await nursery.start(monitor.run_service)
        try:
            yield monitor
        finally:
            context.stopping.set()
