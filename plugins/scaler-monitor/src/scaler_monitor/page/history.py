"""The last ten minutes of each profile, in memory alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler import RunnerState
from scaler_monitor.page.verdict import alive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler import View

KEPT = 60  # samples
EVERY = 10.0  # seconds between two


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A profile at one moment.

    Attributes:
        alive: Runners that have, or will have, a place for a job.
        busy: Those of them that are running a job.
    """

    alive: int
    busy: int
    target: int


class History:
    """Samples of every profile, oldest first."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[Sample]] = {}

    def sample(self, view: View) -> None:
        """Note how it is now; what is no profile any more is forgotten."""
        self._samples = {
            name: self._samples.get(name, deque(maxlen=KEPT)) for name in view.profiles
        }
        for name, each in view.profiles.items():
            self._samples[name].append(
                Sample(
                    alive=alive(each.counts),
                    busy=each.counts.get(RunnerState.BUSY, 0),
                    target=each.target,
                )
            )

    def samples(self) -> Mapping[str, Sequence[Sample]]:
        """What was noted, by profile; a copy."""
        return {name: tuple(found) for name, found in self._samples.items()}
