"""The message queue of one scale set: at least once, in order, until deleted."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any

from scaler_github.testing.records import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler_github.testing.records import ScaleSet

#: No response carries more job messages than this.
BATCH = 50


class MessageIds:
    """Gives out message ids, ascending over all queues."""

    def __init__(self, first: int = 100_000_001) -> None:
        self._count: Iterator[int] = itertools.count(first)

    def next(self) -> int:
        """The next id."""
        return next(self._count)

    def restart(self, first: int) -> None:
        """Go on from `first`, as when GitHub moves a queue to another host."""
        self._count = itertools.count(first)


def fetch(scale_set: ScaleSet, cursor: int, ids: MessageIds) -> Message | None:
    """The message that a poll with this cursor gets now.

    First what must be repeated, then the oldest message above the cursor that was not
    deleted, then new job messages, packed into a message.
    """
    if scale_set.again:
        return scale_set.again.popleft()
    for number, message in scale_set.unacknowledged.items():
        if number > cursor:
            return message
    if not scale_set.news:
        return None
    take = min(BATCH, len(scale_set.news))
    jobs = [scale_set.news.popleft() for _ in range(take)]
    message = Message(ids.next(), jobs)
    scale_set.unacknowledged[message.id] = message
    return message


def acknowledge(scale_set: ScaleSet, message_id: int) -> bool:
    """Delete a message; false if there is none with this id."""
    message = scale_set.unacknowledged.pop(message_id, None)
    if message is None:
        return False
    scale_set.acknowledged.append(message)
    return True


def redeliver(scale_set: ScaleSet, message_id: int | None) -> int:
    """Deliver a message once more, also if it was deleted; `None` means the newest.

    Raises:
        LookupError: no such message was ever fetched (or long ago).
    """
    seen = {m.id: m for m in (*scale_set.acknowledged, *scale_set.unacknowledged.values())}
    chosen = max(seen, default=None) if message_id is None else message_id
    if chosen is None or chosen not in seen:
        raise LookupError(f"scale set {scale_set.name} has no message {message_id}")
    scale_set.again.append(seen[chosen])
    scale_set.bell.ring()
    return chosen


def inject(
    scale_set: ScaleSet,
    ids: MessageIds,
    jobs: list[dict[str, Any]],
    *,
    raw_body: str | None = None,
    statistics: dict[str, int] | None = None,
    kind: str = "RunnerScaleSetJobMessages",
) -> Message:
    """Put a message of the test's own making at the end of the queue."""
    message = Message(ids.next(), jobs, kind, raw_body, statistics)
    scale_set.unacknowledged[message.id] = message
    scale_set.bell.ring()
    return message


def new_archive() -> deque[Message]:
    """Where deleted messages are kept for `redeliver`."""
    return deque(maxlen=1000)
