"""GitHub's rate limits of one credential: learnt from its answers, kept by all who use it.

The rules are GitHub's (docs.github.com, "Rate limits for the REST API"): a primary limit by
resource and hour, told in every answer; and secondary limits, told only once they are passed, of
which the one on points a minute can be kept beforehand. Where there are no limits (Enterprise
Server) answers tell of none, and nothing is held back.
"""

from __future__ import annotations

import enum
import math
from collections import Counter, deque
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import trio

from scaler_github.client.classify import (
    LONGEST_WAIT,
    UNTOLD_WAIT,
    GitHubError,
    Kind,
    Verdict,
    until_reset,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from scaler_github.client.transport import Response

CORE = "core"
REGISTRATION = "actions_runner_registration"

_MINUTE = 60.0
_POINTS = 900  # a minute; reading costs one, writing five
_SHARE = 5  # a fifth of what there is may only be spent on runners; another is all for selecting
_PATIENCE = 45.0  # seconds that a call waits for the minute's points and for its turn, at most
_IMPATIENCE = 2.0  # the same of a call that a stranger waits for
_SAME_WINDOW = 5.0  # seconds between the ends of one window, as two answers tell them
_READS = frozenset({"GET", "HEAD"})
_AT_ONCE = 60  # calls under way with one credential; GitHub allows a hundred


class Purpose(enum.Enum):
    """What a call is for."""

    PROVISIONING = "provisioning"  #: runners come and go by it: it may spend all that is left
    ROUTINE = "routine"  #: can wait: it leaves a reserve
    #: somebody wants runners, and anybody may say so: it leaves the reserve, and has a share of its
    #: own beyond which it is refused, of each window's calls, of points and of calls at once
    SELECTING = "selecting"


@dataclass(slots=True)
class _Window:
    limit: int
    remaining: int
    ends: float  # trio's clock
    resets_at: int  # GitHub's

    @property
    def reserve(self) -> int:
        return self.limit // _SHARE


class Limits:
    """The limits of one credential, shared by all its callers."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self._under_way: Counter[str] = Counter()  # calls by resource
        self._shut: dict[str, tuple[float, str]] = {}  # by resource, "" for all: until, why
        self._untold = 0  # limits in a row of which GitHub did not tell the end
        self._closed_at = -math.inf
        self._spent: deque[tuple[float, int]] = deque()
        self._points = 0
        self._turns = trio.Semaphore(_AT_ONCE)
        self._selected: Counter[str] = Counter()  # calls of this window for SELECTING, by resource
        self._selecting: deque[float] = deque()  # when they were made, of the last minute
        self._selectors = trio.Semaphore(_AT_ONCE // _SHARE)

    def forget(self) -> None:
        """The credential is another one."""
        self._windows.clear()
        self._shut.clear()
        self._selected.clear()
        self._untold = 0

    @asynccontextmanager
    async def call(
        self, method: str, purpose: Purpose = Purpose.PROVISIONING, resource: str = CORE
    ) -> AsyncIterator[None]:
        """A call, made within the block; waits for its turn, for seconds at most.

        Raises:
            GitHubError: WAIT: not now; it tells how long.
        """
        self.check(purpose, resource)
        async with AsyncExitStack() as turns:
            with trio.move_on_after(_patience(purpose)) as patience:
                if purpose is Purpose.SELECTING:
                    await turns.enter_async_context(self._selectors)
                await self._spend(1 if method in _READS else 5, purpose)
                await turns.enter_async_context(self._turns)
            if patience.cancelled_caught:
                most = _AT_ONCE // _SHARE if purpose is Purpose.SELECTING else _AT_ONCE
                text = f"{most} calls are under way with this credential"
                raise GitHubError(Verdict(Kind.RETRY, f"{text}, and none comes to its end"))
            self.check(purpose, resource)  # it may have been shut meanwhile
            if purpose is Purpose.SELECTING:
                self._selected[resource] += 1
            self._under_way[resource] += 1
            try:
                yield
            finally:
                self._under_way[resource] -= 1

    def check(self, purpose: Purpose = Purpose.PROVISIONING, resource: str = CORE) -> None:
        """Whether a call may be made now.

        Raises:
            GitHubError: WAIT: not now; it tells how long.
        """
        now = trio.current_time()
        for key in ("", resource):
            until, text = self._shut.get(key, (0.0, ""))
            if until > now:
                raise GitHubError(Verdict(Kind.WAIT, text, until - now, told=True))
        window = self._window(resource)
        if window is None:
            return
        share = window.limit // _SHARE
        if purpose is Purpose.SELECTING and self._selected[resource] >= share:
            wait = max(1.0, window.ends - now)
            text = f"the {share} calls of {window.limit} that selecting runners may make are made"
            raise GitHubError(Verdict(Kind.WAIT, f"{text}; {wait:.0f} s left", wait, told=True))
        kept = 0 if purpose is Purpose.PROVISIONING else window.reserve
        if window.remaining - self._under_way[resource] <= kept:
            wait = max(1.0, window.ends - now)
            why = f"the last {kept} of {window.limit} are kept for runners" if kept else "all used"
            text = f"GitHub's rate limit of this credential ({resource}): {why}; {wait:.0f} s left"
            raise GitHubError(Verdict(Kind.WAIT, text, wait, told=True))

    def heard(self, headers: Mapping[str, str], now: float) -> None:
        """Learn from an answer. `now` is Unix seconds, for answers without a `Date`."""
        numbers = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining")]
        left = until_reset(headers, now)
        if left is None or not all(text.isascii() and text.isdigit() for text in numbers):
            return
        limit, remaining = (int(text[:12]) for text in numbers)
        resource = headers.get("x-ratelimit-resource", CORE)
        ends = trio.current_time() + min(max(left, 0.0), LONGEST_WAIT)
        known = self._windows.get(resource)
        if known is not None and abs(known.ends - ends) >= _SAME_WINDOW:
            self._selected[resource] = 0  # another one has begun
        known = self._window(resource)
        if known is not None and known.limit == limit and abs(known.ends - ends) < _SAME_WINDOW:
            remaining = min(remaining, known.remaining)  # answers overtake each other
        resets_at = int(headers["x-ratelimit-reset"])
        self._windows[resource] = _Window(limit, remaining, ends, resets_at)

    def succeeded(self) -> None:
        """A call was let through."""
        self._untold = 0

    def refused(self, verdict: Verdict, response: Response) -> Verdict:
        """GitHub said to wait: nobody calls until then. The verdict, with the time to wait."""
        headers, wait = response.headers, verdict.wait
        if not verdict.told:
            if response.sent > self._closed_at:  # else it was under way when another was refused
                self._untold += 1
            wait = min(LONGEST_WAIT, UNTOLD_WAIT * 2.0 ** min(max(self._untold - 1, 0), 10))
        self._closed_at = trio.current_time()
        # The primary limit is that of one resource; a secondary one is everybody's
        primary = headers.get("x-ratelimit-remaining") == "0" and "retry-after" not in headers
        resource = headers.get("x-ratelimit-resource", CORE) if primary else ""
        until = trio.current_time() + wait
        if until > self._shut.get(resource, (0.0, ""))[0]:
            self._shut[resource] = until, verdict.text
        return replace(verdict, wait=wait)

    def facts(self) -> dict[str, Any]:
        """For people: what is left of each resource, and until when (Unix seconds)."""
        told: dict[str, Any] = {}
        for resource in sorted(self._windows):
            if (window := self._window(resource)) is not None:
                told[resource] = {
                    "limit": window.limit,
                    "remaining": window.remaining,
                    "resets_at": window.resets_at,
                    "reserve": window.reserve,
                }
        return {"rate_limits": told} if told else {}

    def waits(self) -> dict[str, float]:
        """Seconds until calls may be made again, by resource; `` for all calls."""
        now = trio.current_time()
        found = {key: until - now for key, (until, _) in self._shut.items() if until > now}
        for resource in self._windows:
            window = self._window(resource)
            if window is not None and window.remaining <= 0:
                found[resource] = max(found.get(resource, 0.0), window.ends - now)
        return found

    def _window(self, resource: str) -> _Window | None:
        window = self._windows.get(resource)
        return window if window is not None and window.ends > trio.current_time() else None

    async def _spend(self, points: int, purpose: Purpose) -> None:
        """Wait until the minute's points allow it; only where there are limits at all."""
        if not self._windows:
            return
        if purpose is Purpose.SELECTING:
            self._spend_share()
        most = _POINTS if purpose is Purpose.PROVISIONING else _POINTS - _POINTS // _SHARE
        began = trio.current_time()
        while self._points_now() + points > most:
            wait = self._spent[0][0] + _MINUTE - trio.current_time()
            if trio.current_time() + wait > began + _patience(purpose):
                text = f"GitHub allows {_POINTS} points of calls a minute, and they are spent"
                raise GitHubError(Verdict(Kind.WAIT, text, max(1.0, wait), told=True))
            await trio.sleep(max(wait, 0.01))
        self._spent.append((trio.current_time(), points))
        self._points += points

    def _spend_share(self) -> None:
        """Of the minute's points, selecting has a share; nobody waits for more of it."""
        now, selecting = trio.current_time(), self._selecting
        while selecting and selecting[0] <= now - _MINUTE:
            selecting.popleft()
        if len(selecting) >= _POINTS // _SHARE:
            wait = max(1.0, selecting[0] + _MINUTE - now)
            text = (
                f"the {_POINTS // _SHARE} calls a minute that selecting runners may make are made"
            )
            raise GitHubError(Verdict(Kind.WAIT, text, wait, told=True))
        selecting.append(now)

    def _points_now(self) -> int:
        over = trio.current_time() - _MINUTE
        while self._spent and self._spent[0][0] <= over:
            self._points -= self._spent.popleft()[1]
        return self._points


def _patience(purpose: Purpose) -> float:
    return _IMPATIENCE if purpose is Purpose.SELECTING else _PATIENCE
