"""The session that a crash left open: it bars the next one until it is closed or expires."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from scaler import Context
    from scaler_github.client import Actions

# A session that was opened and whose id was lost can only expire. GitHub does not tell after how
# long; until then it is asked often, since nobody else is likely to hold it.
LIKELY = 300.0


class Leftover:
    """What is durably known of one profile's session, over restarts.

    Its id is stored once it is open, and before that, that one is about to be.

    Args:
        scope: `Scope.place` of its account: numbers of scale sets mean something there only.
    """

    def __init__(self, context: Context[Any, Any], profile: str, scope: str) -> None:
        self._context = context
        self._profile = profile
        self._scope = scope
        self._key = f"session/{profile}"
        self._tried = ""  # the session that was closed, though that could not be stored
        self._read = False
        self._lost = False  # one may have been opened whose id is not known
        self._since = math.inf  # when it was first in the way

    async def opening(self, scale_set: int) -> None:
        """A session is about to be opened."""
        stored = await self._load()
        if not self._read:
            self._read = True
            self._lost = bool(stored.get("opening")) and self._is_of(scale_set, stored)
        session = stored.get("session") if self._is_of(scale_set, stored) else None
        note = self._note(scale_set, session, opening=True)
        if stored != note:
            await self._save(note)

    async def opened(self, scale_set: int, session: str) -> None:
        """This one is open."""
        self._lost = False
        self._since = math.inf
        await self._save(self._note(scale_set, session))

    def unanswered(self) -> None:
        """Whether one was opened is not known: the answer was lost, or could not be used."""
        self._lost = True
        self._since = math.inf

    async def refused(self, scale_set: int) -> None:
        """GitHub said that none was opened."""
        stored = await self._load()
        if not self._lost and stored.get("opening"):
            session = stored.get("session")
            await self._save(self._note(scale_set, session) if session else None)

    async def closed(self) -> None:
        """None is open."""
        await self._save(None)

    async def close(self, actions: Actions, scale_set: int) -> bool:
        """Close the one that an earlier run left open; whether there was one to close."""
        stored = await self._load()
        session = stored.get("session")
        if not session or not self._is_of(scale_set, stored) or session == self._tried:
            return False
        await actions.delete_session(scale_set, str(session))
        self._tried = str(session)
        await self._save(self._note(scale_set, None, opening=True))
        return True

    def may_be_ours(self) -> bool:
        """Whether the session in the way is likely one of ours that only expires."""
        now = trio.current_time()
        self._since = min(self._since, now)
        return self._lost and now - self._since < LIKELY

    def _is_of(self, scale_set: int, stored: dict[str, Any]) -> bool:
        return (stored.get("scope"), stored.get("scale_set")) == (self._scope, scale_set)

    def _note(
        self, scale_set: int, session: str | None, *, opening: bool = False
    ) -> dict[str, Any]:
        note = {"scope": self._scope, "scale_set": scale_set, "session": session}
        return {**note, "opening": True} if opening else note

    async def _load(self) -> dict[str, Any]:
        stored = await self._context.load(self._key)
        return stored if isinstance(stored, dict) else {}

    async def _save(self, note: dict[str, Any] | None) -> None:
        try:
            await self._context.save(self._key, note)
        except Exception:
            # only a quicker start after a crash hangs on it
            self._context.log.exception("%s: what session is open is not stored", self._profile)
