"""What is in hand: a shutdown still ends what it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from types import TracebackType


class Work:
    """Counts the calls that are under way; each is a `with` block.

    Attributes:
        idle: Set while none is.
    """

    def __init__(self) -> None:
        self._in_hand = 0
        self._used = False
        self.idle = trio.Event()
        self.idle.set()

    def seen(self) -> bool:
        """Whether something is in hand, or was since this was last asked."""
        seen = self._used or self._in_hand > 0
        self._used = False
        return seen

    def __enter__(self) -> None:
        self._in_hand += 1
        if self.idle.is_set():
            self.idle = trio.Event()
        self._used = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._in_hand -= 1
        if not self._in_hand:
            self.idle.set()
