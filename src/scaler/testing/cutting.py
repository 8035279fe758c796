"""A hook, broken off wherever it waits: once for each of its awaits, or as many as are wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from scaler.errors import HookFault, Outcome
from scaler.testing.promises import noted

if TYPE_CHECKING:
    from scaler.testing.stage import Stage

#: Makes the arguments of the call of this round, counted from 0.
Arguments: TypeAlias = Callable[[int], Awaitable[Mapping[str, Any]]]
#: Looks at what the call of this round left; `Stage.broken_off` says where it was broken off.
After: TypeAlias = Callable[[int], Awaitable[None]]

# After five faults in a row a hook would be left alone, and each of these counts as one
_PARTS = (0.05, 0.3, 0.6, 0.9)
_LEAST = 0.001


async def cut_short(
    stage: Stage,
    hook: Callable[..., Awaitable[Any]],
    points: int,
    arguments: Arguments,
    after: After,
    *,
    again: bool = False,
) -> int:
    """Call a hook as it is, then again and again, and break each of those calls off elsewhere.

    An `async` hook is cancelled at its awaits, at each of them or at as many as are wanted, spread
    evenly. A plain one runs in a thread that cannot be stopped: it is abandoned after several parts
    of the time that it took the first time.

    Args:
        stage: The instance.
        hook: Which hook, `SPEC.x`.
        points: At how many awaits it is cancelled, at most.
        arguments: Makes the arguments of each round.
        after: Looks at what each round left.
        again: Whether the hook may say that it is not done yet, for `after` calls it again.

    Returns:
        How many rounds there were.

    Raises:
        Outcome: What the plugin said of a call that was not broken off.
        HookFault: Such a call broke its contract.
    """
    given = await arguments(0)
    began = trio.current_time()
    allowed = (Outcome,) if again else ()
    with suppress(*allowed):
        await stage.cut(0, hook, **given)
    awaits = stage.steps.seen
    took = trio.current_time() - began
    stage.broken_off = "not broken off"
    await after(0)
    name = hook.__name__
    if not awaits:
        for number, part in enumerate(_PARTS, 1):
            given = await arguments(number)
            with suppress(HookFault, Outcome):
                await stage.call(hook, deadline=max(_LEAST, took * part), **given)
            stage.broken_off = f"{name} was abandoned after {max(_LEAST, took * part):.3f} s"
            with noted(stage.broken_off):
                await after(number)
        return 1 + len(_PARTS)
    chosen = spread(awaits, points)
    for number, at in enumerate(chosen, 1):
        given = await arguments(number)
        with suppress(*allowed):
            await stage.cut(at, hook, **given)
        place = f", {stage.steps.place}" if stage.steps.place else ", and was over before"
        stage.broken_off = f"{name} was cancelled at await {at} of {awaits}{place}"
        with noted(stage.broken_off):
            await after(number)
    return 1 + len(chosen)


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 1 to `count`, evenly, with the first and the last."""
    if count <= most or most < 2:
        return list(range(1, count + 1))[: max(most, 0)]
    return sorted({1 + round(each * (count - 1) / (most - 1)) for each in range(most)})
