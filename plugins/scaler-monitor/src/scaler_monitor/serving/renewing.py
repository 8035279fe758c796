"""Files that change while we serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_monitor.serving.certificate import Certificate
    from scaler_monitor.serving.tokens import Tokens

EVERY = 10.0  # seconds between two looks


async def keep_new(
    tokens: Tokens, certificate: Certificate | None, told: Callable[[Sequence[str]], None]
) -> None:
    """Use what is in the files now, for ever.

    Args:
        told: Called with what is wrong, when that changes; with nothing once all is well again.
    """
    limiter = trio.CapacityLimiter(1)  # a disk that hangs holds back nobody else
    known: list[str] = []

    def look() -> list[str]:
        trouble = certificate.renew() if certificate else ""
        return [*([trouble] if trouble else []), *tokens.read()]

    while tokens or certificate:
        await trio.sleep(EVERY)
        found = await trio.to_thread.run_sync(look, limiter=limiter, abandon_on_cancel=True)
        if found != known:
            known = found
            told(found)
