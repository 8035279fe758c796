"""Leave a hook of a plugin alone for a while after it failed five times in a row."""

from __future__ import annotations

from dataclasses import dataclass

FAILURES = 5
OPEN_FOR = 60.0


@dataclass
class Breaker:
    """Counts one hook's faults in a row. Times in seconds, any clock that does not jump."""

    faults: int = 0
    opened: float | None = None

    def rest(self, now: float) -> float:
        """How long the hook is still left alone; 0 when it may be called."""
        if self.opened is None:
            return 0.0
        return max(0.0, self.opened + OPEN_FOR - now)

    def worked(self) -> None:
        """It answered, or said an expected outcome."""
        self.faults = 0
        self.opened = None

    def failed(self, now: float) -> bool:
        """It broke its contract; whether this fault opens the breaker."""
        self.faults += 1
        if self.faults < FAILURES:
            return False
        # one more fault after the rest opens it again at once
        self.opened = now
        return True
