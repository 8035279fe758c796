"""What was answered to whoever asked for runners: the same question gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.records import Reservation, Runner, Selection

KEPT = 86400.0  # seconds for which the same unique_id gets the same answer


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Runners that were reserved for one `unique_id`.

    Attributes:
        since: Unix seconds.
        selected: A selector let it pass: asked again, it does so without a proof.
        runners: The runners, as they were answered; none while it is only asked for.
    """

    unique_id: str
    profile: str
    count: int
    qualified_repo: str
    run_id: str
    since: float
    selected: bool = False
    runners: tuple[Runner, ...] = ()

    def is_of(self, selection: Selection, reservation: Reservation) -> bool:
        """Whether this is what was asked for."""
        same = (self.profile, self.count) == (selection.profile, selection.count)
        return same and self.is_by(reservation.qualified_repo, reservation.run_id)

    def is_by(self, qualified_repo: str, run_id: str) -> bool:
        """Whether it was the same run of the same repository that asked."""
        return (self.qualified_repo.casefold(), self.run_id) == (qualified_repo.casefold(), run_id)


def begun(selection: Selection, reservation: Reservation) -> Grant:
    """A grant of which nothing is done yet."""
    return Grant(
        unique_id=reservation.unique_id,
        profile=selection.profile,
        count=selection.count,
        qualified_repo=reservation.qualified_repo,
        run_id=reservation.run_id,
        since=reservation.since,
    )
