"""What reaches the stand-in beside GitHub's protocol: the benchmark's questions, and machines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from bench import wire
from bench.world import World

_NOT_FOUND = wire.error(404, "NotFoundException", "There is nothing here.")
_NO_SET = wire.error(404, "RunnerScaleSetNotFoundException", "No such runner scale set.")


class Control:
    """What the benchmark asks of the stand-in itself, under `/_bench/`; no delay, not counted."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, target: bytes, write: Callable[[bytes], None]) -> bytes | None:
        """One request; None where the answer comes later."""
        path, _, query = target.decode().partition("?")
        given = {key: value[0] for key, value in parse_qs(query).items()}
        world = self._world
        if path == "/_bench/queue":
            one = world.scale_set(given["set"])
            if one is None:
                return _NO_SET
            world.queue(one, int(given["count"]))
            return wire.ok(b"{}")
        if path == "/_bench/wait":
            if world.is_true(given["for"]):
                return wire.ok(b"{}")
            world.waiters.append((given["for"], write))
            return None
        if path == "/_bench/idle":
            names = [name.decode() for one in world.sets.values() for name in one.idle]
            return wire.answer(200, {"names": names})
        if path == "/_bench/result":
            return wire.answer(200, self._result())
        if path == "/_bench/load":
            world.requests.clear()
            world.create("load", ["load"]) if world.scale_set("load") is None else None
            return wire.answer(200, self._load())
        return _NOT_FOUND

    def _load(self) -> dict[str, Any]:
        one = self._world.scale_set("load")
        assert one is not None
        return {"set": one.id, "cpu": time.process_time()}

    def _result(self) -> dict[str, Any]:
        world = self._world
        zero = world.marks.get("queued")
        if zero is None:
            return {"cpu": time.process_time(), "requests": dict(world.requests), "marks": {}}
        return {
            "started": [round(job.started - zero.at, 6) for job in world.jobs if job.started],
            "finished": [round(job.finished - zero.at, 6) for job in world.jobs if job.finished],
            "agents": len(world.agents),
            "machines": len(world.machines),
            "marks": {
                name: {
                    "seconds": round(mark.at - zero.at, 6),
                    "cpu": round(mark.cpu - zero.cpu, 6),
                    "requests": dict(mark.requests),
                }
                for name, mark in world.marks.items()
            },
        }


class Guests(asyncio.Protocol):
    """Hears of machines: a line `+NAME` for each that exists, `-NAME` for each that is gone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._world.machine(line[1:], line[:1] == b"+")
