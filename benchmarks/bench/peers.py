"""The figures of others, measured on a machine of the same size: two cores, Python 3.11.

GitHub's own Go listener (actions/scaleset 6ce0259) with JIT configurations made one after another,
as its Docker example does. There a guest is online 50 ms after its JIT configuration was answered;
here, unless told otherwise, 50 ms after its machine exists.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Burst:
    """Jobs at once, the delay of every request (s); seconds until all and half have started."""

    jobs: int
    delay: float
    all_started: float
    median: float
    requests: str
    wanted: float | None = None
    sought: float | None = None


LISTENER = (
    Burst(500, 0.0, 0.56, 0.21, "500 JIT, 10 acquire, 127 polls, 126 deletes", 1.5, 0.56),
    Burst(500, 0.02, 17.3, 6.2, "500 JIT, 10 acquire, 146 polls, 145 deletes", 1.5, 0.9),
    Burst(200, 0.05, 14.1, 6.0, "200 JIT, 4 acquire, 37 polls, 36 deletes"),
)


def listener(jobs: int, delay: float) -> Burst | None:
    """What GitHub's listener takes for this burst, if it was measured."""
    return next((one for one in LISTENER if (one.jobs, one.delay) == (jobs, delay)), None)
