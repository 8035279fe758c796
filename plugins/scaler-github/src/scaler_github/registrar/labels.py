"""The labels by which workflows see that a runner is reserved, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler_github.client import GitHubError, Kind, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from scaler import Reservation
    from scaler_github.client.runners import RestRunners

FIRST = "self-hosted"  # GitHub adds no label by itself
_RESERVED = "reserved-"
_ANSWER = 4.0  # seconds for GitHub to answer: someone waits
_ROUNDS = 3


def of_profile(labels: Iterable[str]) -> list[str]:
    """The labels that a runner is registered with: `self-hosted` and its profile's, none twice."""
    unique: dict[str, str] = {}
    for label in (FIRST, *labels):
        unique.setdefault(label.lower(), label)
    return list(unique.values())


def of_reservation(reservation: Reservation) -> list[str]:
    """The labels of a reserved runner, beside its own."""
    return [
        f"reserved-for:{reservation.unique_id}",
        f"reserved-since:{int(reservation.since)}",
        f"reserved-by:{reservation.qualified_repo}/actions/runs/{reservation.run_id}",
    ]


async def put(runners: RestRunners, number: int, wanted: list[str]) -> None:
    """Label a runner as reserved, in one call where it bears no older reservation.

    Raises:
        GitHubError: It may bear some of the labels now, or an older reservation's.
    """
    there: list[str] | None = None
    with trio.move_on_after(_ANSWER):
        there = await runners.add_labels(number, wanted)
    if there is None:
        text = f"GitHub has not answered within {_ANSWER:g} s to label runner {number}"
        raise GitHubError(Verdict(Kind.RETRY, text))
    for label in _reserved(there, wanted):
        await runners.delete_label(number, label)
    if not _lower(wanted) <= _lower(there):
        text = f"GitHub has not put every label on runner {number} that was asked for"
        raise GitHubError(Verdict(Kind.RETRY, text))


async def strip(runners: RestRunners, number: int, keep: Collection[str] = ()) -> None:
    """Leave no label of a reservation on a runner, but for some that are those of its present one.

    None is on a runner that does not exist.

    Raises:
        GitHubError: There may be others.
    """
    for _ in range(_ROUNDS):
        try:
            there = _reserved(await runners.labels(number), keep)
        except GitHubError as error:
            if error.kind is Kind.GONE:
                return
            raise
        left: list[str] | None = []
        for label in there:
            left = await runners.delete_label(number, label)
        if left is not None and not _reserved(left, keep):
            return
    text = f"runner {number} still bears labels of a reservation, though they were deleted"
    raise GitHubError(Verdict(Kind.RETRY, text))


def _reserved(labels: Iterable[str], keep: Collection[str]) -> list[str]:
    kept = _lower(keep)
    reserved = [label for label in labels if label.lower().startswith(_RESERVED)]
    return [label for label in reserved if label.lower() not in kept]


def _lower(labels: Iterable[str]) -> set[str]:
    """As GitHub compares them."""
    return {label.lower() for label in labels}
