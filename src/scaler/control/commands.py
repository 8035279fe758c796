"""What each command does, on the engine's side."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler.control.gather import closely, gather
from scaler.control.protocol import Trouble
from scaler.engine.orders import Ambiguous
from scaler.errors import Busy, Refused, Unavailable
from scaler.model.orders import parted
from scaler.records import RoomState
from scaler.telling import Extras, Unknown, status, why
from scaler.telling.standing import standing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from scaler.control.protocol import Request
    from scaler.engine import Engine
    from scaler.records import Order, Runner, View
    from scaler.reload import Reloader

log = logging.getLogger("scaler.control")

LARGE = 500  # runners and jobs from which on they are put into words in a thread
READING = ("status", "why")


class Commands:
    """Does what requests ask for.

    Args:
        folder: `state_dir`.
        engine: What runs.
        reloader: What reads the settings anew.
    """

    def __init__(self, folder: Path, engine: Engine, reloader: Reloader) -> None:
        self._folder = folder
        self._engine = engine
        self._reloader = reloader
        self._started = engine.state.clock.wall()
        self._limiter = trio.CapacityLimiter(1)
        self._last: tuple[Any, dict[str, Any]] | None = None
        self._telling = trio.Lock()
        self._known: dict[str, Callable[[Mapping[str, Any], str], Awaitable[dict[str, Any]]]] = {
            "status": self._status,
            "why": self._why,
            "pause": self._pause,
            "resume": self._resume,
            "drain": self._drain,
            "undrain": self._undrain,
            "reload": self._reload,
            "release": self._release,
            "destroy": self._destroy,
        }

    async def run(self, request: Request, by: str) -> dict[str, Any]:
        """Do it; the result. `by` is who asks.

        Raises:
            Trouble: It was not done, and why.
        """
        stopping = self._engine.state.stopping
        if request.command not in READING:
            if stopping:
                raise Trouble("stopping", "scaler is stopping", "do it once it runs again")
            log.info("%s asks: %s", by, _spoken(request))
        try:
            return await self._known[request.command](request.options, by)
        except Unknown as error:
            raise Trouble("not-found", error.text, error.fix) from None
        except Ambiguous as error:
            raise Trouble("ambiguous", str(error)) from None
        except LookupError as error:
            text = str(error.args[0]) if error.args else "there is nothing of that name"
            raise Trouble("not-found", text, "see: scaler status") from None
        except Busy as error:
            raise Trouble("busy", str(error), "with --busy its job ends, too") from None
        except Refused as error:
            raise Trouble("refused", str(error)) from None
        except Unavailable as error:
            code = partial(Trouble, "stopping" if self._engine.state.stopping else "unavailable")
            raise code(str(error) or "it cannot be done now", "try again in a moment") from None

    async def status(self) -> dict[str, Any]:
        """How everything is; made once for all who ask within a second."""
        async with self._telling:
            view = self._engine.view()
            second = int(self._engine.state.clock.wall())
            key = (view.version, id(self._reloader.last), second)
            if self._last is None or self._last[0] != key:
                extras = Extras(**self._facts())
                self._last = key, await self._told(view, status, view, extras)
            return self._last[1]

    # -- each of them

    async def _status(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        del options, by
        return await self.status()

    async def _why(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        del by
        view, about = self._engine.view(), options["about"]
        facts = self._facts()
        extras = Extras(**facts)
        if about is not None:
            extras = await closely(self._engine, view, about, facts)
        return await self._told(view, why, view, extras, about)

    async def _pause(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        orders = await self._engine.orders.pause(options["profiles"], by)
        return {"orders": [_order(each) for each in orders], **self._unwritten(orders)}

    async def _resume(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        return {"resumed": list(await self._engine.orders.resume(options["profiles"], by))}

    async def _drain(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        orders = self._engine.orders
        order, runners = await orders.drain(options["host"], by, now=options["now"])
        return {
            "order": _order(order),
            "runners": [_runner(each) for each in runners],
            "machines": self._machines(order.name),
            **self._unwritten([order]),
        }

    async def _undrain(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        name, was = await self._engine.orders.undrain(options["host"], by)
        return {"undrained": name, "was_drained": was, "state": self._state(name)}

    async def _reload(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        del options, by
        done = await self._reloader.reload()
        if not done.ok:
            text = "the settings are wrong: nothing has changed"
            raise Trouble("settings", text, "mend the file, then: scaler reload", done.problems)
        return {
            "time": done.time,
            "ok": done.ok,
            "applied": list(done.applied),
            "restart": list(done.restart),
            "problems": list(done.problems),
        }

    async def _release(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        return {"runner": _runner(await self._engine.orders.release(options["runner"], by))}

    async def _destroy(self, options: Mapping[str, Any], by: str) -> dict[str, Any]:
        runner = await self._engine.orders.destroy(options["runner"], by, busy=options["busy"])
        return {"runner": _runner(runner), "gone": runner.state == "gone"}

    # -- what they share

    def _facts(self) -> dict[str, Any]:
        return gather(self._engine, self._folder, self._started, self._reloader.last)

    async def _told(
        self, view: View, tell: Callable[..., dict[str, Any]], *arguments: Any
    ) -> dict[str, Any]:
        """Put it into words: where that is much, not within the loop."""
        if len(view.runners) + len(view.jobs) < LARGE:
            await trio.lowlevel.checkpoint()
            return tell(*arguments)
        return await trio.to_thread.run_sync(tell, *arguments, limiter=self._limiter)

    def _state(self, name: str) -> str | None:
        """What a room's plugin says of it; None where it does not tell of it."""
        plugin, its = parted(name)
        known = [room for room in self._engine.state.rooms.get(plugin) or () if room.name == its]
        return str(known[0].state) if known else None

    def _machines(self, name: str) -> int | None:
        """How many stand in a room; None where its plugin cannot tell what else is there."""
        if self._state(name) in (None, RoomState.DOWN):
            return None
        builders = [(maker, each) for (maker, _), each in self._engine.state.builders.items()]
        return standing(self._engine.view(), builders)[parted(name)]

    def _unwritten(self, orders: Sequence[Order]) -> dict[str, Any]:
        """A warning where an order counts, and a restart would lose it."""
        lost = [
            each.name for each in orders if (each.kind, each.name) in self._engine.orders.unwritten
        ]
        if not lost:
            return {}
        text = f"it counts now, but could not be written: a restart loses it ({', '.join(lost)})"
        return {"warning": text}


def _spoken(request: Request) -> str:
    given = []
    for name, value in request.options.items():
        if value is True:
            given.append(f"--{name}")
        elif isinstance(value, tuple):
            given += value
        elif value:
            given.append(str(value))
    return " ".join([request.command, *given])


def _order(order: Order) -> dict[str, Any]:
    return {"kind": order.kind, "name": order.name, "since": order.since, "by": order.by}


def _runner(runner: Runner) -> dict[str, Any]:
    return {
        "id": runner.id,
        "name": runner.name,
        "profile": runner.profile,
        "state": str(runner.state),
        "reason": runner.reason,
        "room": runner.room,
        "job": runner.job,
    }
