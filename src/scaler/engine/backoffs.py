"""Which profiles wait before the next try or are stopped, and which rooms failed them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scaler.model.halt import stop
from scaler.model.plan import Backoff

if TYPE_CHECKING:
    from scaler.model.halt import Halt

LONGEST = 60.0  # seconds until the next try, at most
FORGIVEN = 600.0  # seconds without a failure after which counting starts anew
PENDING = 15.0  # seconds that a profile waits for the answer whether a runner had its job
AVOIDED = 60.0  # seconds for which a room that failed a profile is its last choice


class Backoffs:
    """Failures in a row, by profile: 1 s after the first, doubling to 60 s."""

    def __init__(self) -> None:
        self.profiles: dict[str, Backoff] = {}
        self.rooms: dict[tuple[str, str, str], float] = {}
        self.halts: dict[str, Halt] = {}

    def failed(
        self, profile: str, text: str, now: float, born: float, at_least: float = 0.0
    ) -> Backoff:
        """A start failed; how long to wait now.

        Args:
            profile: Whose start.
            text: Why.
            now: The core's clock.
            born: When it was planned. What was begun before the last failure fails of the same
                cause as that one, and is not counted: a hiccup in a burst is one failure.
            at_least: Seconds that the other side asked for.
        """
        last = self.profiles.get(profile)
        if last is not None and born <= last.at:
            backoff = Backoff(last.failures, max(last.until, now + at_least), text, last.at)
        else:
            failures = 1 if last is None or now - last.until > FORGIVEN else last.failures + 1
            wait = max(at_least, min(LONGEST, 2.0 ** min(failures - 1, 10)))
            backoff = Backoff(failures, now + wait, text, now)
        self.profiles[profile] = backoff
        return backoff

    def suspect(self, profile: str, text: str, now: float) -> None:
        """A machine stopped, and whether that is a failure is being asked: wait for the answer."""
        last = self.profiles.get(profile) or Backoff(0, now, "", -math.inf)
        until = max(last.until, now + PENDING)
        self.profiles[profile] = Backoff(last.failures, until, text, last.at)

    def stopped(self, profile: str, text: str, now: float, born: float) -> Halt:
        """A machine stopped without a job; the count now."""
        self.halts[profile] = halt = stop(self.halts.get(profile), text, born, now)
        return halt

    def avoid(self, profile: str, provisioner: str, room: str, now: float) -> None:
        """Prefer other rooms for a while."""
        self.rooms = {key: until for key, until in self.rooms.items() if until > now}
        self.rooms[profile, provisioner, room] = now + AVOIDED

    def worked(self, profile: str) -> None:
        """A runner of this profile got a job: starting works."""
        self.profiles.pop(profile, None)
        self.halts.pop(profile, None)
