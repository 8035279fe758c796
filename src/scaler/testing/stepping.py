"""A plugin's hooks, driven one await at a time: they can be timed, and cut at any of them."""

from __future__ import annotations

import ctypes
import functools
import inspect
import time
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from scaler.errors import Outcome
from scaler.loading.verify import marked
from scaler.testing.frames import waits_at

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

UNWILLING = 10.0  # seconds that a hook may go on after it was cut
BLOCKED = 1.0  # seconds that a hook may hold the event loop up


class GivenUp(Exception):
    """The hook goes on for ever, whatever it is told: it is not driven any further."""


class Cut(Outcome):
    """The call was cancelled at an await, as the check wanted: its outcome is unknown."""


@dataclass
class Steps:
    """What is seen of the awaits of one plugin's hooks.

    Attributes:
        slow: The hook, and the seconds for which it held the loop up, for each time.
        seen: How many awaits there were of the call that was to be cut.
        place: The plugin's line at which the last call was cut.
        stuck: A call that was cut went on for ever.
        gave_up: Hooks that are driven no further: their next await ends them with `GivenUp`.
    """

    slow: list[tuple[str, float]] = field(default_factory=list)
    gave_up: frozenset[str] = frozenset()
    _hook: str = ""
    _at: int = 0
    seen: int = 0
    place: str = ""
    stuck: bool = False
    _cut: float = 0.0

    def arm(self, hook: str, at: int) -> None:
        """Cut the next call of this hook at its n-th await (from 1); 0 only counts them."""
        self._hook, self._at, self.seen, self.place = hook, at, 0, ""

    def disarm(self) -> int:
        """Cut nothing more; answer how many awaits were counted since `arm`."""
        self._hook = ""
        return self.seen

    async def drive(self, hook: str, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a hook's coroutine.

        Raises:
            Cut: It was to be cut, and it was.
        """
        if self._hook != hook:
            going = functools.partial(self._going, hook, coroutine)
            return await _stepped(coroutine, going, functools.partial(self._took, hook))
        self._hook = f"{hook}, running"  # (one call alone)

        def next_await() -> None:
            self.seen += 1
            if self.seen == self._at:
                self.place = waits_at(coroutine)
                scope.cancel()
                self._cut = time.monotonic()
            elif self.seen > self._at > 0 and time.monotonic() > self._cut + UNWILLING:
                self.stuck = True
                _keep_for_good(coroutine)
                raise GivenUp(f"{hook} goes on for ever")

        with trio.CancelScope() as scope:
            return await _stepped(coroutine, next_await, functools.partial(self._took, hook))
        raise Cut(f"{hook} was cancelled at its await number {self._at}")

    def _going(self, hook: str, coroutine: object) -> None:
        if hook in self.gave_up:
            _keep_for_good(coroutine)
            raise GivenUp(f"{hook} goes on for ever")

    def _took(self, hook: str, seconds: float) -> None:
        if seconds > BLOCKED:
            self.slow.append((hook, seconds))


def _keep_for_good(coroutine: object) -> None:
    """Never let it be collected: being closed, it would only go on, and then without an end."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


@types.coroutine
def _stepped(
    coroutine: Coroutine[Any, Any, Any],
    next_await: Callable[[], None],
    took: Callable[[float], None],
) -> Generator[Any, Any, Any]:
    """Be this coroutine, and tell of each await just before it."""
    resume: Callable[[], Any] = functools.partial(coroutine.send, None)
    while True:
        began = time.perf_counter()
        try:
            trap = resume()
        except StopIteration as end:
            return end.value
        finally:
            took(time.perf_counter() - began)
        next_await()
        try:
            answer = yield trap
        except BaseException as error:
            resume = functools.partial(coroutine.throw, error)
        else:
            resume = functools.partial(coroutine.send, answer)


def stepped(plugin: object, steps: Steps) -> object:
    """What to register in a plugin's place: the same hooks, each driven by `steps`."""
    proxy = _Proxy()
    for name, options in marked(type(plugin)).items():
        hook = options["specname"] or name
        setattr(proxy, name, _wrapped(hook, getattr(plugin, name), steps))
    return proxy


class _Proxy:
    """Holds nothing but hooks."""


def _wrapped(name: str, method: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(method):
        return functools.wraps(method)(lambda *args: method(*args))

    @functools.wraps(method)
    async def call(*args: Any) -> Any:
        return await steps.drive(name, method(*args))

    return call
