"""A promise of the hooks' contract, and the failure that says which one was broken."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeAlias, TypeVar

import trio

from scaler.errors import HookFault, Outcome
from scaler.log import printable
from scaler.testing.frames import raised_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

P = ParamSpec("P")
T = TypeVar("T")

Kind: TypeAlias = Literal["plugin", "provisioner", "source", "selector", "panel"]

_LONGEST = 2000  # characters of what was seen


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Something that a plugin promises by having a hook.

    Attributes:
        name: Names it, such as `one-machine`; no two of a kind have the same.
        kind: What kind of plugin promises it; `plugin` for every one.
        hook: The hook that it is about; empty where it is about all.
        text: The promise in words.
        quote: The sentence of the contract that says so.
        where: Where that sentence is written, as a name in Python.
    """

    name: str
    kind: Kind
    hook: str
    text: str
    quote: str
    where: str = ""

    def __post_init__(self) -> None:
        if not self.where:
            place = f"scaler.hooks.Spec.{self.hook}" if self.hook else "scaler.hooks"
            object.__setattr__(self, "where", place)

    def broken(self, seen: str) -> PromiseBroken:
        """The failure that says so.

        Args:
            seen: What the check saw, for the plugin's author.
        """
        return PromiseBroken(self, seen)


class PromiseBroken(AssertionError):
    """A plugin does not do what its hooks' contract says.

    Attributes:
        promise: Which promise.
        seen: What the check saw instead.
    """

    def __init__(self, promise: Promise, seen: str) -> None:
        seen = printable(seen)
        seen = seen if len(seen) <= _LONGEST else f"{seen[:_LONGEST]}…"
        super().__init__(
            f"{promise.name}: {promise.text}\n"
            f"  seen: {seen}\n"
            f"  written in {promise.where}: «{promise.quote}»"
        )
        self.promise = promise
        self.seen = seen


@contextmanager
def promised(promise: Promise, doing: str, *allowed: type[Outcome]) -> Iterator[None]:
    """Within: a fault or an outcome that is not allowed breaks this promise.

    Args:
        promise: Which one.
        doing: What is being done, such as `destroying it again`.
        allowed: Outcomes that go on upwards as they are.
    """
    try:
        yield
    except allowed:
        raise
    except (HookFault, Outcome) as error:
        said = str(error) if isinstance(error, HookFault) else f"{type(error).__name__}: {error}"
        place = raised_at(error)
        raise promise.broken(f"{doing}: {said}{f' ({place})' if place else ''}") from None


async def repeated(call: Callable[[], Awaitable[T]], patience: float) -> T:
    """Call a hook again as long as it says that it cannot yet, as the core does.

    Raises:
        Outcome: What it still said after so many seconds.
        HookFault: It failed.
    """
    pause, until = 0.05, trio.current_time() + patience
    while True:
        try:
            return await call()
        except Outcome as said:
            wait = max(pause, getattr(said, "retry_after", None) or 0.0)
            if trio.current_time() + wait > until:
                raise
        await trio.sleep(wait)
        pause = min(2.0, pause * 2)


@contextmanager
def noted(what: str) -> Iterator[None]:
    """Within: a promise that is broken is told with what was done just before."""
    try:
        yield
    except PromiseBroken as error:
        raise error.promise.broken(f"{what}: {error.seen}") from None


def told_in_short(
    check: Callable[P, Awaitable[None]],
) -> Callable[P, Coroutine[object, object, None]]:
    """A check whose `PromiseBroken` comes without the lines that lead to it: they are not its."""

    @wraps(check)
    async def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        __tracebackhide__ = True
        try:
            await check(*args, **kwargs)
        except PromiseBroken as error:
            broken = error
        else:
            return
        broken.__context__ = None
        raise broken.with_traceback(None) from None

    return checked
