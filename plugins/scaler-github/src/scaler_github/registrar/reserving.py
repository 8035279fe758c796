"""One account's reservations: a runner bears the labels of its present one, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import trio

from scaler import Gone, Unavailable
from scaler_github.client import Backoff, GitHubError, Kind, Verdict
from scaler_github.registrar import labels

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler import Context
    from scaler_github.account import Account
    from scaler_github.client.runners import RestRunners
    from scaler_github.registrar.background import Background

_ANSWER = 8.0  # seconds for GitHub to put the labels: less than the core waits
_ROUND = 8.0  # to take them away, each time that it is tried: less than the core waits, too
_LATE = 15.0  # until a look whether a call that was not answered took effect after all

_UNKNOWN = "GitHub knows no runner {} (any more)"


class Reserving:
    """The labels of reservations on one account's runners, by name and number."""

    def __init__(
        self,
        context: Context[Any, Any],
        account: Account,
        runners: RestRunners,
        background: Background,
    ) -> None:
        self._account = account
        self._runners = runners
        self._log = context.log
        self._stopping = context.stopping
        self._background = background
        self._labels: dict[str, list[str]] = {}  # of those that are reserved
        self._locks = WeakValueDictionary[str, trio.Lock]()

    def forget(self, name: str) -> None:
        """It is not reserved any more; its labels are somebody else's business."""
        self._labels.pop(name, None)

    async def put(
        self, name: str, wanted: list[str], find: Callable[[], Awaitable[int | None]]
    ) -> None:
        """Label a runner as reserved.

        Whatever an error left on it the core has taken back: by `take_back`, until that succeeds.

        Args:
            find: Tells its number.

        Raises:
            GitHubError: It is not reserved, or not known to be.
            Gone: There is no such runner any more.
            Unavailable: It is not shown by its name.
        """
        asked: int | None = None
        answered = False
        try:
            with trio.move_on_after(_ANSWER):
                number = await find()
                if number is None:
                    raise Unavailable(_UNKNOWN.format(name))
                async with self._alone(name):
                    self._labels[name], asked = wanted, number
                    there = await self._runners.add_labels(number, wanted)
                    answered = True
                    await labels.settle(self._runners, number, wanted, there)
                    return
            raise _late(_ANSWER, f"label runner {name}")
        except BaseException as error:
            if asked is None:
                raise
            if self._labels.get(name) is wanted:
                self.forget(name)
            if isinstance(error, GitHubError):
                if error.kind is Kind.GONE:
                    raise Gone(_UNKNOWN.format(name)) from None
                answered |= error.verdict.status != 0 or error.kind is not Kind.RETRY
            if not answered:  # GitHub may be just about to do it
                self.strip(name, asked, _LATE)
            raise

    async def take_back(self, name: str, find: Callable[[], Awaitable[int | None]]) -> None:
        """Leave no label of a reservation on it; what has no number here has none.

        It is tried once: to go on is the core's.

        Raises:
            GitHubError: BUSY: it runs a job, and its labels stay. Otherwise some may be there.
            Gone: There is no such runner any more.
        """
        self.forget(name)
        with trio.move_on_after(_ROUND):
            number = await find()
            if number is not None and not await self._strip_once(name, number):
                raise Gone(_UNKNOWN.format(name))
            return
        raise _late(_ROUND, f"take labels from runner {name}")

    def strip(self, name: str, number: int, pause: float = 0.0) -> None:
        """Take labels away that are not of its present reservation, beside everything else."""
        self._background.start(self._strip_beside, name, number, pause, lasting=False)

    async def _strip_beside(self, name: str, number: int, pause: float) -> None:
        """Go on until it is done, or it turns out that it runs a job."""
        backoff = Backoff()
        async with self._account.open():
            while True:
                # Once the scaler begins to stop, it is done at once: little time is left
                with trio.move_on_after(pause):
                    await self._stopping.wait()
                try:
                    with trio.move_on_after(_ROUND):
                        await self._strip_once(name, number)
                        return
                    raise _late(_ROUND, f"take labels from runner {name}")
                except GitHubError as error:
                    if error.kind is Kind.BUSY:
                        return
                    self._log.warning("%s may look reserved: %s", name, error)
                    if self._stopping.is_set():
                        return  # the next start looks for labels that nobody reserved
                    pause = backoff.after(error)

    async def _strip_once(self, name: str, number: int) -> bool:
        """Once; False where there is no such runner any more."""
        async with self._alone(name):
            return await labels.strip(self._runners, number, self._labels.get(name, ()))

    def _alone(self, name: str) -> trio.Lock:
        """A label that is taken away late may be one that is put just then: never both at once."""
        return self._locks.setdefault(name, trio.Lock())


def _late(seconds: float, what: str) -> GitHubError:
    return GitHubError(
        Verdict(Kind.RETRY, f"GitHub has not answered within {seconds:g} s to {what}")
    )
