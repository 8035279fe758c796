"""A hypervisor that only remembers, and a core that only listens; both outlive a scaler."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import Duration, Machine, Picture, Profile, Unavailable
from scaler_libvirt.hosts.base import Base
from scaler_libvirt.images import Images
from scaler_libvirt.machine.names import image_name, parse_image, tag_of
from scaler_libvirt.settings import ProfileConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SOURCE = "/srv/source.qcow2"
EPOCH = 1_800_000_000.0
TAG = tag_of("here")


@dataclass
class Box:
    """A machine that builds or tries."""

    uuid: str
    profile: str
    role: str
    base: Base
    nonce: str
    running: bool = True
    clean: bool | None = None
    why: str = ""
    log: bytes = b""
    off: trio.Event = field(default_factory=trio.Event)


class FakeHost:
    """A hypervisor: what is on it outlives the scaler, what was seen of it does not.

    Attributes:
        script: Called with each machine that was made, in a task of its own: what its guest does.
        before, after: Called with the name of every call before and after it has its effect; where
            they answer True, it never comes back.
    """

    def __init__(self, name: str = "vm1") -> None:
        self.name = name
        self.up = True
        self.draining = False
        self.left_free: dict[str, int] = {}
        self.machines: dict[str, Box] = {}
        self.volumes: dict[str, str] = {}  # images, and their stamps
        self.users: set[str] = set()  # images that a runner stands on
        self.made: list[Box] = []
        self.calls: list[str] = []
        self.script: Callable[[FakeHost, Box], Any] = works
        self.before: Callable[[str], Any] = lambda call: None
        self.after: Callable[[str], Any] = lambda call: None
        self.refuse: dict[str, Exception] = {}
        self.nursery: trio.Nursery | None = None

    async def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        self.calls.append(name)
        if self.before(name):
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if not self.up:
            raise Unavailable(f"host {self.name}: it is down")
        if name in self.refuse:
            raise self.refuse[name]
        done = effect()
        if self.after(name):
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return done

    def free(self) -> Mapping[str, int]:
        return self.left_free

    async def make(self, profile: str, role: str, uuid: str, base: Base, *, nonce: str) -> Machine:
        def effect() -> Machine:
            if uuid not in self.machines:
                box = Box(uuid, profile, role, base, nonce)
                self.machines[uuid] = box
                self.made.append(box)
                if self.nursery is not None:
                    self.nursery.start_soon(self.script, self, box)
            return self._machine(self.machines[uuid])

        machine: Machine = await self._call("make", effect)
        return machine

    def _machine(self, box: Box) -> Machine:
        state: Any = "running" if box.running else "stopped"
        return Machine(runner=None, id=box.uuid, profile=box.profile, state=state, room=self.name)

    def end(self, box: Box, *, clean: bool, log: bytes = b"", why: str = "shut down") -> None:
        box.running, box.clean, box.why, box.log = False, clean, why, box.log + log
        box.off.set()

    def forget(self) -> None:
        """The scaler was killed: nobody saw what has ended until now."""
        for box in self.machines.values():
            if not box.running:
                box.clean = None

    async def ended(self, uuid: str) -> Any:
        self.calls.append("ended")
        if self.before("ended"):
            await trio.sleep_forever()
        if "ended" in self.refuse:
            raise self.refuse["ended"]
        box = self.machines.get(uuid)
        if box is None:
            return SimpleNamespace(why="it is gone", clean=None)
        await box.off.wait()
        return SimpleNamespace(why=box.why, clean=box.clean)

    async def running(self, uuid: str) -> bool:
        box = self.machines.get(uuid)
        found: bool = await self._call("running", lambda: box is not None and box.running)
        return found

    async def tail(self, profile: str, uuid: str, limit: int = 65536) -> bytes:
        box = self.machines.get(uuid)
        log: bytes = await self._call("tail", lambda: b"" if box is None else box.log[-limit:])
        return log

    async def screenshot(self, uuid: str) -> bytes | None:
        box = self.machines.get(uuid)
        png: bytes | None = await self._call(
            "screenshot", lambda: b"PNG" if box is not None and box.running else None
        )
        return png

    async def remove(self, profile: str, uuid: str) -> None:
        def effect() -> None:
            box = self.machines.pop(uuid, None)
            if box is not None and box.running:
                self.end(box, clean=False, why="destroyed")

        await self._call("remove", effect)

    async def left(self) -> list[Machine]:
        found: list[Machine] = await self._call(
            "left", lambda: [self._machine(box) for box in self.machines.values()]
        )
        return found

    async def flatten(self, profile: str, uuid: str, name: str) -> None:
        def effect() -> None:
            if uuid not in self.machines:
                raise ValueError(f"there is no disk of {uuid}")
            assert not self.machines[uuid].running
            self.volumes[name] = f"stamp of {uuid}"

        await self._call("flatten", effect)

    async def images(self) -> list[Any]:
        def effect() -> list[Any]:
            parsed = {name: parse_image(name, TAG) for name in self.volumes}
            return [
                SimpleNamespace(
                    name=name, profile=each.profile, number=each.number, stamp=self.volumes[name]
                )
                for name, each in parsed.items()
                if each is not None
            ]

        found: list[Any] = await self._call("images", effect)
        return found

    async def in_use(self, name: str) -> bool:
        def effect() -> bool:
            bases = {box.base.path for box in self.machines.values()}
            return name in self.users | bases

        used: bool = await self._call("in_use", effect)
        return used

    async def delete_image(self, name: str) -> None:
        def effect() -> None:
            self.volumes.pop(name, None)

        await self._call("delete_image", effect)

    def image(self, number: int, profile: str = "linux") -> str:
        return image_name(TAG, profile, number)


class FakeCore:
    """What a plugin is given: it outlives the scaler as far as it is durable."""

    def __init__(self, folder: Path, **own: ProfileConfig) -> None:
        self.scaler = "here"
        self.folder = folder
        self.log = logging.LoggerAdapter(logging.getLogger("scaler.libvirt"), {})
        self.stopping = trio.Event()
        self.own = own or {"linux": recipe()}
        self.profiles = {name: Profile(name=name, resources={"memory": 4}) for name in self.own}
        self.config = SimpleNamespace(hosts=[])
        self.facts: dict[str, Any] = {}
        self.evidence: dict[tuple[int | str, str], bytes] = {}
        self.reports: dict[str, tuple[str, bool, dict[str, Any]]] = {}
        self.capacity_changes = 0
        self.asked: dict[str, frozenset[str]] = {}
        self.news = trio.Event()
        self.before: Callable[[str], Any] = lambda call: None
        self.after: Callable[[str], Any] = lambda call: None
        self.full = False

    async def load(self, key: str) -> Any:
        await trio.lowlevel.checkpoint()
        return self.facts.get(key)

    async def save(self, key: str, value: Any) -> None:
        if self.before("save"):
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if self.full:
            raise Unavailable("the ledger cannot be written")
        self.facts[key] = value
        if self.after("save"):
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool:
        if self.before("keep"):
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if data:
            self.evidence[subject, name] = data
        else:
            self.evidence.pop((subject, name), None)
        return True

    def picture(self, subject: int | str) -> Picture | None:
        return Picture(png=b"LAST", time=0.0, etag="x")

    def report(self, text: str, *, ok: bool = True, profile: str = "", **facts: Any) -> None:
        self.reports[profile] = (text, ok, facts)

    def capacity_changed(self) -> None:
        self.capacity_changes += 1

    def view(self) -> Any:
        return SimpleNamespace(asked=dict(self.asked))

    async def next_view(self, after: Any) -> Any:
        while self.asked == after.asked:
            await self.news.wait()
        return self.view()

    def ask(self, uuid: str) -> None:
        """A guest asks for its registration."""
        self.asked[uuid] = frozenset({"registration"})
        self.news.set()
        self.news = trio.Event()


async def works(host: FakeHost, box: Box) -> None:
    """A guest that does what it should."""
    await trio.sleep(60)
    if box.running:
        word = "built" if box.role == "builder" else "ok"
        host.end(box, clean=True, log=f"\nscaler: {word} {box.nonce}\r\n".encode())


async def hangs(host: FakeHost, box: Box) -> None:
    """A guest that does nothing."""


def recipe(**more: Any) -> ProfileConfig:
    return ProfileConfig(**{"source_image": SOURCE, "keep_images": 2, **more})


async def inline(work: Callable[[], Any], /, **_: Any) -> Any:
    """Files are quick, and the clock of tests does not wait for threads."""
    await trio.lowlevel.checkpoint()
    return work()


class Scaler:
    """A scaler that may be started and killed."""

    def __init__(self, core: FakeCore, *hosts: FakeHost) -> None:
        self.core = core
        self.hosts = {host.name: host for host in hosts}
        self.images: Images
        self.in_thread: Callable[..., Any] = inline

    def clock(self) -> float:
        return EPOCH + trio.current_time()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Images]:
        for host in self.hosts.values():
            host.forget()
        self.core.asked.clear()
        self.images = Images(
            self.core,  # type: ignore[arg-type]
            self.hosts,
            wall=self.clock,
            in_thread=self.in_thread,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(self.images.run)
            yield self.images
            nursery.cancel_scope.cancel()

    async def until(self, what: Callable[[], Any], within: float = 7200.0) -> None:
        with trio.fail_after(within):
            while not what():  # noqa: ASYNC110 - it may be anything
                await trio.sleep(1)

    def state(self, profile: str = "linux", host: str = "vm1") -> Any:
        return self.images._book.state(host, profile)


@pytest.fixture
def guests() -> Any:
    """Where guests run: they go on while the scaler does not."""

    @asynccontextmanager
    async def run(*hosts: FakeHost) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            for host in hosts:
                host.nursery = nursery
            yield
            nursery.cancel_scope.cancel()

    return run


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    """What tests are made of."""
    return SimpleNamespace(
        core=FakeCore(tmp_path),
        cores=lambda **own: FakeCore(tmp_path, **own),
        host=FakeHost(),
        hosts=FakeHost,
        scaler=Scaler,
        works=works,
        hangs=hangs,
        recipe=recipe,
        seconds=Duration.parse,
    )
