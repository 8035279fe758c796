"""The runners of this scaler, as Forgejo lists them, and what changed since the last look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import trio

from scaler import Registration
from scaler_forgejo.answers import Listed
from scaler_forgejo.api import Api


class Listing:
    """One look at the list at a time, shared by all who ask while it is awaited.

    Two looks at once could end in the wrong order, and the older one would show runners as gone
    that are only newer.
    """

    def __init__(self, api: Api, scaler: str) -> None:
        self._api = api
        self._suffix = f"@{scaler}"
        self._lock = trio.Lock()
        self._begun = self._done = 0
        self._last: list[Listed] = []
        self._seen: dict[str, Registration] = {}
        self._removing: set[str] = set()

    async def look(self) -> tuple[list[Listed], list[Registration]]:
        """Every runner named `*@<scaler>`, as it is now or later than now; and the changes.

        The changes are told to whoever made the look, and to nobody else.

        Raises:
            Unavailable: It is not known which there are.
        """
        asked = self._begun
        async with self._lock:
            if self._done > asked:
                return self._last, []
            self._begun += 1
            this = self._begun
            listed = await self._api.runners()
            self._last = [each for each in listed if each.name.endswith(self._suffix)]
            self._done = this
            now = registrations(self._last)
            changed = changes(self._seen, now, self._removing)
            self._removing &= now.keys()  # the others are gone, and known to be
            self._seen = now
            return self._last, changed

    def removing(self, name: str) -> None:
        """Note that it is we who remove a runner: it has not gone by itself."""
        self._removing.add(name)


def registrations(listed: Iterable[Listed]) -> dict[str, Registration]:
    """Runners as the core knows them, by their names.

    Names are not unique: of two, one that works is told rather than one that does not. A runner
    that is offline may still work, behind a broken line: that is not known.
    """
    found: dict[str, Registration] = {}
    for each in listed:
        busy = {"active": True, "idle": False}.get(each.status)
        if each.name not in found or busy:
            found[each.name] = Registration(
                name=each.name, ref=str(each.id), online=each.status != "offline", busy=busy
            )
    return found


def changes(
    before: Mapping[str, Registration], now: Mapping[str, Registration], removing: set[str]
) -> list[Registration]:
    """What is worth telling: new states, and runners that Forgejo removed after their one job."""
    told = [each for name, each in now.items() if before.get(name) != each]
    left = before.keys() - now.keys() - removing
    return told + [Registration(name=name, gone=True) for name in sorted(left)]
