"""A Monitor in a thread of its own, over a view that tests change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import trio
from tests.browser import scenes

from scaler import Context, Kept, Panel, Picture, View
from scaler_monitor.plugin import Monitor
from scaler_monitor.settings import Config


class World:
    """The core's side of the Monitor's Context."""

    def __init__(self) -> None:
        self.now = scenes.calm()
        self.panel = dict(scenes.PANELS)
        self.pictures: dict[int | str, Picture] = {}
        self.evidence: dict[int | str, tuple[Kept, ...]] = {}

    def show(self, view: View, **changes: Any) -> None:
        """Another view, one version later."""
        self.now = replace(view, version=self.now.version + 1, **changes)

    def change(self, **changes: Any) -> None:
        """The same view with other values."""
        self.show(self.now, **changes)

    def view(self) -> View:
        return self.now

    async def next_view(self, after: View) -> View:
        while self.now is after:  # noqa: ASYNC110 - it is changed from another thread
            await trio.sleep(0.02)
        return self.now

    def report(self, *_: Any) -> None: ...

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        return self.evidence.get(subject, ())

    def picture(self, subject: int | str) -> Picture | None:
        return self.pictures.get(subject)

    async def panels(self) -> Mapping[str, Panel | None]:
        return self.panel


class Served:
    """It serves while the thread runs.

    Attributes:
        url: Where, with a `/` at its end.
    """

    def __init__(self, folder: Path, listen: str = "127.0.0.1:0") -> None:
        self.world = World()
        self.url = ""
        self._listen = listen
        self._folder = folder
        self._ready = threading.Event()
        self._stop: Any = None
        self._thread = threading.Thread(target=self._run, name="monitor")

    def again(self) -> Served:
        """Another, where this one was."""
        return Served(self._folder, self.url.removeprefix("http://").rstrip("/"))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        assert self.url
        return self

    def __exit__(self, *_: object) -> None:
        if not self._thread.is_alive():
            return
        self._stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        token, stopping = trio.lowlevel.current_trio_token(), trio.Event()
        self._stop = lambda: token.run_sync_soon(stopping.set)
        core: Any = self.world
        context: Context[Config, None] = Context(
            name="monitor",
            scaler="host-1",
            config=Config(listen=(self._listen,)),
            profiles=scenes.PROFILES,
            own={},
            folder=self._folder,
            log=logging.LoggerAdapter(logging.getLogger("scaler.plugins.monitor"), {}),
            stopping=stopping,
            core=core,
        )
        monitor = Monitor(context)
        async with trio.open_nursery() as nursery:
            await nursery.start(monitor.run_service)
            self.url = f"{monitor.addresses[0]}/"
            self._ready.set()
