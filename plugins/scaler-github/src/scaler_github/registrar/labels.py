"""The labels by which workflows see that a runner is reserved, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler_github.client import GitHubError, Kind, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scaler import Reservation
    from scaler_github.client.runners import RestRunners

FIRST = "self-hosted"  # GitHub adds no label by itself
_FOR, _SINCE, _BY = "reserved-for:", "reserved-since:", "reserved-by:"
_RESERVED = (_FOR, _SINCE, _BY)


def of_profile(labels: Iterable[str]) -> list[str]:
    """The labels that a runner is registered with: `self-hosted` and its profile's, none twice."""
    unique: dict[str, str] = {}
    for label in (FIRST, *labels):
        unique.setdefault(label.lower(), label)
    return list(unique.values())


def of_reservation(reservation: Reservation) -> list[str]:
    """The labels of a reserved runner, beside its own."""
    return [
        f"{_FOR}{reservation.unique_id}",
        f"{_SINCE}{int(reservation.since)}",
        f"{_BY}{reservation.qualified_repo}/actions/runs/{reservation.run_id}",
    ]


def check(place: str, labels: Iterable[str]) -> list[str]:
    """What is wrong with a profile's own labels: one that looks like a reservation's is deleted."""
    wanted = f"wanted none that begins with {', '.join(_RESERVED[:-1])} or {_RESERVED[-1]}"
    why = "scaler puts and deletes those itself; call it something else"
    return [f'{place}: found "{label}", {wanted}: {why}' for label in reserved(labels)]


async def settle(runners: RestRunners, number: int, wanted: list[str], there: list[str]) -> None:
    """Take an older reservation's labels away, and see that this one's are all there.

    Raises:
        GitHubError: They are not, or the older ones may be there still.
    """
    for label in reserved(there, wanted):
        await runners.delete_label(number, label)
    if not _lower(wanted) <= _lower(there):
        text = f"GitHub has not put every label on runner {number} that was asked for"
        raise GitHubError(Verdict(Kind.RETRY, text))


async def strip(runners: RestRunners, number: int, keep: Collection[str] = ()) -> bool:
    """Leave no label of a reservation on a runner, but for those of its present one.

    False: there is no such runner any more. It is gone through once; to go on is the caller's. One
    that runs a job is left as it is: its labels say whose job that is.

    Raises:
        GitHubError: There may be others; BUSY: it runs a job.
    """
    runner = await runners.get(number)
    if runner is None:
        return False
    if runner.busy:
        raise GitHubError(Verdict(Kind.BUSY, f"runner {number} runs a job"))
    if not isinstance(runner.labels, list):
        text = f"GitHub's answer to look at runner {number} tells no labels"
        raise GitHubError(Verdict(Kind.RETRY, text))
    left: list[str] | None = runner.label_names
    for label in reserved(left or (), keep):
        left = await runners.delete_label(number, label)
    if left is None or reserved(left, keep):
        text = f"runner {number} still bears labels of a reservation, though they were deleted"
        raise GitHubError(Verdict(Kind.RETRY, text))
    return True


def reserved(labels: Iterable[str], keep: Collection[str] = ()) -> list[str]:
    """Those that are labels of a reservation, but for some."""
    kept = _lower(keep)
    found = [label for label in labels if label.lower().startswith(_RESERVED)]
    return [label for label in found if label.lower() not in kept]


def _lower(labels: Iterable[str]) -> set[str]:
    """As GitHub compares them."""
    return {label.lower() for label in labels}
