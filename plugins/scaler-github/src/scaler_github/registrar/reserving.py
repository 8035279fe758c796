"""One account's reservations: a runner bears the labels of its present one, or none."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import trio

from scaler import Unavailable
from scaler_github.client import Backoff, GitHubError, Kind, Verdict
from scaler_github.registrar import labels

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler import Context
    from scaler_github.account import Account
    from scaler_github.client.runners import RestRunners
    from scaler_github.registrar.background import Background

# Seconds for GitHub to put the labels, and then to take back what was put in part: both are less
# than the core waits
_ANSWER = 4.0
_MENDED = 4.5
_ROUND = 10.0  # to take them away, each time that it is tried
_QUICK = 0.25  # the first pause meanwhile
_LATE = 15.0  # until a look whether a call that was not answered took effect after all
# Where adding the labels fails so, none was added
_NOT_DONE = {Kind.WAIT, Kind.REFRESH, Kind.CREDENTIAL, Kind.GONE}


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
        """Label a runner as reserved; whatever goes wrong, no such label stays on it.

        Args:
            find: Tells its number.

        Raises:
            GitHubError: It is not reserved.
            Unavailable: There is no such runner.
        """
        asked: int | None = None
        added = False
        try:
            with trio.move_on_after(_ANSWER):
                number = await find()
                if number is None:
                    raise Unavailable(f"GitHub knows no runner {name} (any more)")
                async with self._alone(name):
                    self._labels[name], asked = wanted, number
                    there = await self._runners.add_labels(number, wanted)
                    added = True
                    await labels.settle(self._runners, number, wanted, there)
                    return
            raise _late(_ANSWER, f"label runner {name}")
        except BaseException as error:
            if asked is None:
                raise
            if self._labels.get(name) is wanted:
                self.forget(name)
            kind = error.kind if isinstance(error, GitHubError) else None
            if not added and kind is Kind.GONE:
                raise Unavailable(f"GitHub knows no runner {name} any more") from None
            if added or kind not in _NOT_DONE:
                answered = isinstance(error, GitHubError) and error.verdict.status != 0
                await self._take_back(name, asked, certain=added or answered)
            raise

    async def take_back(self, name: str, find: Callable[[], Awaitable[int | None]]) -> None:
        """Leave no label of a reservation on it; a runner that does not exist has none.

        Raises:
            GitHubError: BUSY: it runs a job, and its labels stay. Otherwise some may be there; they
                go as soon as GitHub lets them, if it was found.
        """
        self.forget(name)
        with trio.move_on_after(_ANSWER) as scope:
            number = await find()
        if scope.cancelled_caught:
            raise _late(_ANSWER, f"look up runner {name}")
        if number is None:
            return
        failure = await self._take_back(name, number, certain=True)
        if failure is not None:
            raise failure

    def strip(self, name: str, number: int, pause: float = 0.0) -> None:
        """Take labels away that are not of its present reservation, beside everything else."""
        self._background.start(self._strip_beside, name, number, pause, lasting=False)

    async def _take_back(self, name: str, number: int, *, certain: bool) -> GitHubError | None:
        """At once, also when the caller is cancelled; what takes longer is done beside.

        Args:
            certain: What was asked for has been done or not: GitHub is not just about to do it.
        """
        failure: GitHubError | None = _late(_MENDED, f"take labels from runner {name}")
        with trio.move_on_after(_MENDED, shield=True):
            try:
                await self._strip(name, number, 0.0, Backoff(_QUICK))
                failure = None
            except GitHubError as error:
                failure = error
        if failure is not None and failure.kind is not Kind.BUSY:
            self.strip(name, number, failure.wait)
        if not certain:
            self.strip(name, number, _LATE)
        return failure

    async def _strip_beside(self, name: str, number: int, pause: float) -> None:
        async with self._account.open():
            with suppress(GitHubError):  # it was told, and the service ends before another try
                await self._strip(name, number, pause, Backoff())

    async def _strip(self, name: str, number: int, pause: float, backoff: Backoff) -> None:
        """Go on until it is done.

        Raises:
            GitHubError: It is not: it runs a job (BUSY), or the time that is left is too short to
                try again.
        """
        while True:
            await self._pause(pause)
            try:
                return await self._strip_once(name, number)
            except GitHubError as error:
                if error.kind is Kind.BUSY:
                    raise
                self._log.warning("%s may look reserved: %s", name, error)
                pause = backoff.after(error)
                if trio.current_time() + pause > trio.current_effective_deadline():
                    raise

    async def _strip_once(self, name: str, number: int) -> None:
        with trio.move_on_after(_ROUND):
            async with self._alone(name):
                return await labels.strip(self._runners, number, self._labels.get(name, ()))
        raise _late(_ROUND, f"take labels from runner {name}")

    def _alone(self, name: str) -> trio.Lock:
        """A label that is taken away late may be one that is put just then: never both at once."""
        return self._locks.setdefault(name, trio.Lock())

    async def _pause(self, seconds: float) -> None:
        """Once the scaler begins to stop, what waits is done at once: little time is left."""
        if self._stopping.is_set():
            await trio.sleep(seconds)
        else:
            with trio.move_on_after(seconds):
                await self._stopping.wait()


def _late(seconds: float, what: str) -> GitHubError:
    return GitHubError(
        Verdict(Kind.RETRY, f"GitHub has not answered within {seconds:g} s to {what}")
    )
