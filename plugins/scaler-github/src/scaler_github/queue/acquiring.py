"""Acquiring jobs: those that the answer names are ours, and the others are asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.client import GitHubError, Kind, SessionLost

if TYPE_CHECKING:
    from collections.abc import Collection

    from scaler import Context
    from scaler_github.client import QueueSession

# What GitHub answers about jobs that cannot be acquired, now or later
_NOT_THESE = {Kind.BUG, Kind.GONE, Kind.CONFLICT, Kind.EXISTS, Kind.BUSY}
TRIES = 3  # together; then each alone, since one of them may spoil it for the others
GIVEN_UP = 12  # refusals of each, minutes apart by then, while no other was acquired either


class Acquirer:
    """Acquires one profile's jobs.

    The queue tells of a job on offer once: one that was refused by mistake would wait for ever.
    """

    def __init__(self, context: Context[Any, Any], profile: str) -> None:
        self._context = context
        self._profile = profile
        self._refused: dict[int, int] = {}  # how often each was refused in a row

    async def acquire(self, session: QueueSession, numbers: list[int]) -> Collection[int]:
        """The jobs that are ours now.

        Raises:
            GitHubError: Which of them are ours is not known, or they are to be asked for again.
        """
        try:
            acquired = set(await session.acquire_jobs(numbers))
        except GitHubError as error:
            if not _is_refusal(error):
                raise
            for number in numbers:
                self._refused[number] = self._refused.get(number, 0) + 1
            if max(self._refused[number] for number in numbers) < TRIES:
                raise
            acquired = await self._one_by_one(session, numbers)
            if not acquired and not self._for_long(numbers):
                raise  # perhaps nothing can be acquired now: no sign against these
        for number in numbers:
            self._refused.pop(number, None)
        return acquired

    def _for_long(self, numbers: list[int]) -> bool:
        return all(self._refused[number] >= GIVEN_UP for number in numbers)

    async def _one_by_one(self, session: QueueSession, numbers: list[int]) -> set[int]:
        """As many as can be had; those that are refused alone, too, are no longer there.

        Raises:
            GitHubError: Some were not asked for, or that was not answered. The queue and the
                totals tell of those that were acquired before.
        """
        acquired: set[int] = set()
        for number in numbers if len(numbers) > 1 else []:
            try:
                acquired.update(await session.acquire_jobs([number]))
            except GitHubError as error:
                if not _is_refusal(error):
                    raise
        if gone := [number for number in numbers if number not in acquired]:
            text = "%s: GitHub refuses jobs again and again, they are someone else's or over: %s"
            self._context.log.warning(text, self._profile, gone)
        return acquired


def _is_refusal(error: GitHubError) -> bool:
    return error.kind in _NOT_THESE and not isinstance(error, SessionLost)
