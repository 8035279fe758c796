"""The runners of this scaler, as Forgejo lists them, and what the core was told of them."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from scaler import Registration
from scaler_forgejo.answers import Listed
from scaler_forgejo.api import Api


class Listing:
    """Looks at the list, and shares a look with all who ask before it begins.

    Many runners are registered and removed at once, and each of those calls needs to know what
    there is: it must not be a request for each.
    """

    def __init__(self, api: Api, scaler: str) -> None:
        self._api = api
        self._suffix = f"@{scaler}"
        self._lock = trio.Lock()
        self._begun = self._done = 0
        self._last: list[Listed] = []

    async def look(self) -> list[Listed]:
        """Every runner named `*@<scaler>`, as it is now or a moment later.

        Raises:
            Unavailable: It is not known which there are.
        """
        asked = self._begun
        async with self._lock:
            if self._done <= asked:
                self._begun += 1
                this = self._begun
                listed = await self._api.runners()
                self._last = [each for each in listed if each.name.endswith(self._suffix)]
                self._done = this
            return self._last


class Told:
    """What the core knows, to tell it no more than what is new."""

    def __init__(self) -> None:
        self._told: dict[str, Registration] = {}
        self._removed: set[str] = set()

    def news(self, listed: Iterable[Listed]) -> list[Registration]:
        """What is to be told now: new states, and runners that Forgejo removed by itself."""
        now = registrations(listed)
        new = [each for name, each in now.items() if self._told.get(name) != each]
        gone = sorted(self._told.keys() - now.keys() - self._removed)
        self._removed &= now.keys()  # the others are gone, and known to be
        self._told = now
        return new + [Registration(name=name, gone=True) for name in gone]

    def removing(self, name: str) -> None:
        """Note that it is we who remove a runner: it does not go by itself."""
        self._removed.add(name)

    def missing(self, name: str) -> list[Registration]:
        """A runner is not listed: tell that it is gone, if it ever was and we have not removed it.

        Forgejo removes a runner after its one job.
        """
        if self._told.pop(name, None) is None or name in self._removed:
            return []
        return [Registration(name=name, gone=True)]


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
