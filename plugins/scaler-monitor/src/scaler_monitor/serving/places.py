"""How many connections there may be, in all and from one address."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from scaler_monitor.serving.addresses import caller

if TYPE_CHECKING:
    from collections.abc import Callable


class Places:
    """Those of one door.

    Args:
        most: In all.
        each: From one address; from one /64 where it is IPv6.
        exempt: Whether an address stands for many callers, as that of a proxy does.
    """

    def __init__(
        self, most: int, each: int, exempt: Callable[[str], bool] = lambda address: not address
    ) -> None:
        self._most = most
        self._each = each
        self._exempt = exempt
        self._taken: Counter[str] = Counter()
        self._in_all = 0

    def take(self, address: str) -> bool:
        """Take a place, if there is one; `leave` gives it back.

        Args:
            address: Whose; `""` for a unix socket's other end.
        """
        key = caller(address)
        full = self._taken[key] >= self._each and not self._exempt(address)
        if full or self._in_all >= self._most:
            return False
        self._taken[key] += 1
        self._in_all += 1
        return True

    def leave(self, address: str) -> None:
        """Give back a place that was taken."""
        key = caller(address)
        self._taken[key] -= 1
        self._in_all -= 1
        if not self._taken[key]:
            del self._taken[key]
