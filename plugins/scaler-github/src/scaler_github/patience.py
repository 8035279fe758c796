"""One deadline for all that a hook asks of GitHub: its calls' own ones add up."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

# A hook's call about a runner, or for a list: the core waits for 60 s, and then blames the plugin
HOOK = 50.0


@contextmanager
def patience(seconds: float, what: str) -> Iterator[None]:
    """Give all of a block so many seconds.

    Args:
        seconds: Less than the core's deadline of the hook, past which it is the plugin's fault.
        what: What the block does, for people, such as `register runner linux.1@host-1`.

    Raises:
        Unavailable: They are over; whatever was being asked for may have been done or not.
    """
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise Unavailable(f"{what}: GitHub did not answer within {seconds:g} s")
