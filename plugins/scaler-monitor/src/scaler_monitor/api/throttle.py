"""How much one caller may ask, and how much all together: token buckets and places, pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass
class _Bucket:
    left: float
    seen: float


class Buckets:
    """A token bucket for each key; what was longest unseen is forgotten first.

    Args:
        rate: Tokens that come back in a second.
        burst: Tokens that a bucket holds.
        most: Buckets that are kept.
    """

    def __init__(self, *, rate: float, burst: float, most: int = 4096) -> None:
        if rate <= 0 or burst < 1 or most < 1:
            raise ValueError("wanted a rate above 0, and a burst and a number of at least 1")
        self._rate = rate
        self._burst = burst
        self._most = most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Take a token, if there is one.

        Args:
            key: Whose.
            now: Seconds of a clock that never goes back.

        Returns:
            0 where it was taken; else the seconds until there is one.
        """
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, now)
        self._buckets.move_to_end(key)
        bucket.left = min(self._burst, bucket.left + (now - bucket.seen) * self._rate)
        bucket.seen = now
        self._tidy(now)
        if bucket.left < 1:
            return (1 - bucket.left) / self._rate
        bucket.left -= 1
        return 0.0

    def _tidy(self, now: float) -> None:
        # Who was not seen for so long has a full bucket, as a new one is
        full = now - self._burst / self._rate
        while len(self._buckets) > 1:
            oldest = next(iter(self._buckets.values()))
            if oldest.seen > full and len(self._buckets) <= self._most:
                return
            self._buckets.popitem(last=False)
