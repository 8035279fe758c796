"""The outside world, as its owner sees it: what is left there, and how it cannot be reached."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
)
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from scaler.errors import HookFault, Outcome
from scaler.records import Machine
from scaler.testing.promises import noted
from scaler.testing.stage import NotAvailable

if TYPE_CHECKING:
    from scaler.testing.promises import Promise
    from scaler.testing.stage import Stage
    from scaler.testing.trial import Trial

#: Answers what is left in the outside world, each thing in words, the same words each time.
Left: TypeAlias = Callable[[], Awaitable[Sequence[str]] | Sequence[str]]

#: Within what it answers, the other side cannot be reached.
Unreachable: TypeAlias = Callable[
    [], AbstractAsyncContextManager[object] | AbstractContextManager[object]
]

BACK = 60.0  # seconds for a plugin to be as before when the other side is there again


class Outside:
    """What is really there, whatever the plugin lists.

    Args:
        left: Asks the world; None where nobody can.
        settle: Seconds within which what was removed is gone.
    """

    def __init__(self, left: Left | None, settle: float) -> None:
        self.known = left is not None
        self._left = left
        self._settle = settle
        self._before: Counter[str] = Counter()

    async def begin(self) -> None:
        """Note what was there before: it is no concern of the check's."""
        self._before = await self._now()

    async def clean(self, promise: Promise) -> None:
        """See that there is nothing that was not there before.

        Raises:
            PromiseBroken: There is.
        """
        late = trio.current_time() + self._settle
        while more := await self._now() - self._before:
            if trio.current_time() >= late:
                found = ", ".join(sorted(more.elements()))
                raise promise.broken(f"outside there is left, with no machine listed: {found}")
            await trio.sleep(min(0.2, self._settle))

    async def _now(self) -> Counter[str]:
        if self._left is None:
            return Counter()
        found = self._left()
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, str):
            raise TypeError(f"left() answered the text {found!r}, wanted a list of texts")
        return Counter(found)


@asynccontextmanager
async def cut_off(unreachable: Unreachable) -> AsyncIterator[None]:
    """Within, the other side cannot be reached."""
    away = unreachable()
    if isinstance(away, AbstractAsyncContextManager):
        async with away:
            yield
    else:
        with away:
            yield


async def raises_or_has(
    stage: Stage, hook: Callable[..., Awaitable[Any]], name: str, promise: Promise
) -> None:
    """Call a hook that lists while the other side is away: it must raise, or have that runner.

    Raises:
        PromiseBroken: It answered, and less than there is.
    """
    try:
        listed = await stage.call(hook)
    except (HookFault, Outcome):
        return
    names = {each.runner_name if isinstance(each, Machine) else str(each.name) for each in listed}
    if name not in names:
        told = ", ".join(sorted(names)) or "nothing"
        raise promise.broken(
            f"the other side could not be reached, and {hook.__name__} answered {told}, without "
            f"{name}, which is there"
        )


async def lists_while_away(
    trial: Trial,
    unreachable: Unreachable,
    hook: Callable[..., Awaitable[Any]],
    name: str,
    promise: Promise,
) -> None:
    """See what is listed while the other side is away: in an instance before, and one begun then.

    Raises:
        PromiseBroken: Less than there is was answered, or not all of it once it is back.
    """
    async with trial.stage() as stage:
        async with cut_off(unreachable):
            await raises_or_has(stage, hook, name, promise)
        with trio.move_on_after(BACK), noted("the other side is back"):
            while True:
                try:
                    await stage.call(hook)
                    break
                except (HookFault, Outcome):
                    await trio.sleep(0.5)
        with noted("the other side is back"):
            listed = await stage.answer(hook)
            trial.said.append((hook.__name__, listed))
    async with cut_off(unreachable):
        try:
            async with trial.stage() as stage:
                with noted("begun while it was away"):
                    await raises_or_has(stage, hook, name, promise)
        except NotAvailable:
            return  # (its service said so, and a scaler starts it again and again)
