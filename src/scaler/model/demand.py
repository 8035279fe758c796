"""How many runners a profile's jobs need, as its source reports it: quick up, slow down."""

from __future__ import annotations

from dataclasses import dataclass, replace

SETTLE = 30.0  # seconds until a single lower report counts
# Totals run ahead of the messages that explain them while those wait in line: reports that follow
# each other closer than this are one.
APART = 2.0


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a profile's source reported.

    Attributes:
        owed: The last total that was reported.
        waiting: Jobs that wait but are not owed to this profile yet.
        kept: What is kept for: follows `owed` up at once, down when a lower total was seen twice,
            with 2 s of silence between, or for 30 s.
        lower_since: When a lower total than `kept` was first reported, or None.
        reported: Whether the source has reported since the start.
        at: When it last reported.
    """

    owed: int = 0
    waiting: int = 0
    kept: int = 0
    lower_since: float | None = None
    reported: bool = False
    at: float = 0.0


def report(demand: Demand, owed: int, waiting: int | None, now: float) -> Demand:
    """The demand after a new report."""
    kept, lower_since = demand.kept, None
    if owed < kept:
        if demand.lower_since is None or now - demand.at < APART:
            lower_since = now if demand.lower_since is None else demand.lower_since
        else:  # the second report in a row below: the higher of the two is confirmed
            kept = max(owed, min(demand.owed, kept))
            lower_since = now if owed < kept else None
    else:
        kept = owed
    return Demand(
        owed=owed,
        waiting=demand.waiting if waiting is None else waiting,
        kept=kept,
        lower_since=lower_since,
        reported=True,
        at=now,
    )


def settle(demand: Demand, now: float) -> Demand:
    """The demand after time has passed: a lower total that lasted counts."""
    if demand.lower_since is not None and now - demand.lower_since >= SETTLE:
        return replace(demand, kept=demand.owed, lower_since=None)
    return demand
