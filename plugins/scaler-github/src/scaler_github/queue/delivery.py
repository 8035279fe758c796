"""From a message in hand to the core: once, durably, never stuck on one that is bad."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler import Unavailable
from scaler_github.client.message import LARGEST
from scaler_github.queue.convert import Cursor, is_elsewhere, to_message

if TYPE_CHECKING:
    from pathlib import Path

    from scaler import Context, Message
    from scaler_github.client import QueueMessage
    from scaler_github.queue.alarms import Alarms
    from scaler_github.queue.convert import Place
    from scaler_github.queue.waits import Pace, Waits

TRIES = 3
UNHANDLED = "unhandled message"  # the alarm's name
_KEPT = 100
_ODD = re.compile(r"[^A-Za-z0-9_-]")


class Unhandled(Exception):
    """A message could not be handed to the core now; it stays in GitHub's queue."""


class Delivery:
    """Delivers one profile's messages, and knows the last one that was.

    Args:
        web: `https://HOST`, for the addresses of runs.
    """

    def __init__(
        self,
        context: Context[Any, Any],
        profile: str,
        web: str,
        waits: Waits,
        pace: Pace,
        alarms: Alarms,
    ) -> None:
        self._context = context
        self._profile = profile
        self._web = web
        self._waits = waits
        self._pace = pace
        self._alarms = alarms
        self._cursor: Cursor | None = None
        self._unread: tuple[int, int] = (0, 0)  # a message without a readable list, times seen
        self._alarmed = 0  # the message that the last alarm was about

    async def cursor(self, place: Place) -> Cursor:
        """How far this place's messages were delivered."""
        if self._cursor is None or self._cursor.place != place:
            stored = await self._context.load(f"cursor/{self._profile}")
            self._cursor = Cursor.from_json(place, stored)
        return self._cursor

    async def moved(self, place: Place) -> bool:
        """Whether the last messages came from another place."""
        return is_elsewhere(place, await self._context.load(f"cursor/{self._profile}"))

    def start_again(self) -> None:
        """Ask for the first message that is kept. What is stored follows with the next message."""
        if self._cursor is not None:
            self._cursor = replace(self._cursor, message=0)

    async def deliver(self, place: Place, message: QueueMessage) -> bool:
        """Hand a message to the core; when this returns, GitHub may delete it.

        Returns:
            Whether it was news: a message that comes again is not delivered again.

        Raises:
            Unhandled: Not now; poll again with the old cursor.
        """
        cursor = await self.cursor(place)
        if cursor.knows(message):
            return False
        if not message.whole and (self._times_unread(message.id) < TRIES or self._waits.stopping):
            raise Unhandled(f"message {message.id}: {'; '.join(message.faults)}")
        if message.faults:
            await self._alarm(message, "; ".join(message.faults))
        try:
            await self._try_to_deliver(cursor, message)
        except Unhandled:
            raise
        except Exception as error:
            self._context.log.exception("%s: message %d", self._profile, message.id)
            await self._skip(cursor, message, error)
        else:
            if not message.faults:
                self._handled(message)
        self._cursor = cursor.after(message)
        return True

    async def hand_over(self, record: Message, what: str) -> None:
        """Deliver; while the core cannot take anything, wait and deliver the same again.

        Args:
            what: Names it in texts for people.

        Raises:
            Unhandled: The core could not take it before the scaler stopped.
            Exception: Whatever else the core said against it.
        """
        pause = self._pace.first
        while True:
            try:
                await self._context.deliver(record)
                return
            except Unavailable as error:
                text = f"{what} waits, since nothing can be kept now: {error}"
                told = error.retry_after or 0.0
            self._context.log.warning("%s: %s", self._profile, text)
            if not self._waits.stopping:
                self._context.report(text, ok=False, profile=self._profile)
                await self._waits.pause(max(told, pause))
                pause = min(self._pace.largest, pause * 2)
            if self._waits.stopping:
                raise Unhandled(text)

    async def _try_to_deliver(self, cursor: Cursor, message: QueueMessage) -> None:
        record = to_message(self._profile, cursor, message, self._web)
        for left in reversed(range(TRIES)):
            try:
                await self.hand_over(record, f"message {message.id}")
            except Unhandled:
                raise
            except Exception as error:
                if not self._waits.stopping:
                    if not left:
                        raise
                    text = "%s: message %d was not taken, once more: %s"
                    self._context.log.warning(text, self._profile, message.id, error)
                    await self._waits.pause(self._pace.first * (TRIES - left))
                if self._waits.stopping:
                    # It comes again after the next start: no haste, and nothing is given up
                    raise Unhandled(f"message {message.id}: {error}") from error
            else:
                return

    async def _skip(self, cursor: Cursor, message: QueueMessage, error: Exception) -> None:
        """Deliver all of the message but its jobs, so that it does not block those behind it.

        Where the core does not take even that, the message is not what is wrong.
        """
        rest = to_message(self._profile, cursor, message, self._web, without_jobs=True)
        try:
            await self._alarm(message, f"{type(error).__name__}: {error}")
            await self.hand_over(rest, f"message {message.id}")
        except Unhandled:
            raise
        except Exception as worse:
            raise Unhandled(f"message {message.id}: {worse}") from worse

    async def _alarm(self, message: QueueMessage, why: str) -> None:
        """Keep the message for a person, and say so."""
        kept = await trio.to_thread.run_sync(self._keep, message)
        text = f"message {message.id} could not be handled and is kept as {kept}: {why}"
        self._context.log.error("%s: %s", self._profile, text)
        # Not on the profile's own line: the next poll would write over it
        self._alarms.tell(self._profile, UNHANDLED, text)
        self._alarmed = message.id

    def _handled(self, message: QueueMessage) -> None:
        """End the alarm: at once where it was about this message, else when it was shown a while.

        The message that it was about stays in its file and in the log.
        """
        at_least = 0.0 if message.id == self._alarmed else self._pace.alarm
        self._alarms.over(self._profile, UNHANDLED, at_least=at_least)

    def _keep(self, message: QueueMessage) -> Path:
        folder = self._context.folder / "unhandled"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{_ODD.sub('_', self._profile)}-{message.id}-{message.digest}.json"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(message.raw[:LARGEST])
        oldest = sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)[:-_KEPT]
        for one in oldest:
            one.unlink()
        return path

    def _times_unread(self, message_id: int) -> int:
        seen, times = self._unread
        self._unread = (message_id, times + 1 if seen == message_id else 1)
        return self._unread[1]
