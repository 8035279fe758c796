"""A profile whose machines stop without a job, one after another: its image may be outdated."""

from __future__ import annotations

from dataclasses import dataclass

IN_A_ROW = 3  # machines that stop without a job, until the profile is stopped
FIRST = 600.0  # seconds until one machine is tried again, doubling
LONGEST = 3600.0  # seconds
FORGIVEN = 600.0  # seconds without one, after which counting starts anew; not once it is stopped


@dataclass(frozen=True, kw_only=True)
class Halt:
    """How many machines of a profile stopped in a row, without ever having had a job.

    Attributes:
        stops: How many; those begun before the last one that counted stopped are one with it.
        at: When the last one that counted stopped.
        until: When one machine may be tried again.
        reason: Why the last one stopped.
    """

    stops: int
    at: float
    until: float
    reason: str

    @property
    def stopped(self) -> bool:
        """Whether there were so many that the profile is stopped, but for one try at a time."""
        return self.stops >= IN_A_ROW

    def why(self, now: float) -> str:
        """Why the profile has no more machines than it has, in words; for one that is stopped."""
        text = f"{self.stops} machines in a row stopped without a job: is its image outdated?"
        if self.until > now:
            return f"{text} ({self.reason}) one is tried again in {self.until - now:.0f} s"
        return f"{text} ({self.reason}) one at a time is tried until a job has run"


def stop(halt: Halt | None, reason: str, born: float, now: float) -> Halt:
    """The count after one more stop, of a runner that was planned at `born`."""
    if halt is not None and born <= halt.at:
        return halt
    stops = 1
    if halt is not None and (halt.stopped or born - halt.at <= FORGIVEN):
        stops = halt.stops + 1
    wait = 0.0
    if stops >= IN_A_ROW:
        wait = min(LONGEST, FIRST * 2.0 ** min(stops - IN_A_ROW, 10))
    return Halt(stops=stops, at=now, until=now + wait, reason=reason)
