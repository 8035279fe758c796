"""What a profile's scale set is like, and how to say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_github.client import GitHubError, Kind
from scaler_github.setup.findings import AGAIN, unseen, useful, well, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Finding
    from scaler_github.client.types import ScaleSet

_ENDS = "it ends by itself within minutes, and until then nobody else can listen"
LATER = "It is opened at the next try; the profile's own line tells why it is not open."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say of a profile's scale set.

    Attributes:
        table: Where they say it, such as `profiles.linux.actions-queue`.
        labels: Its name first.
        adopt: What is taken over that others made: `same`, `any` or `never`.
    """

    profile: str
    table: str
    name: str
    group: str
    labels: Sequence[str]
    adopt: str = "same"

    def __str__(self) -> str:
        return f"profile {self.profile}"


def absent(wanted: Wanted) -> Finding:
    """There is none yet."""
    labels = ", ".join(wanted.labels)
    return well(
        f"{wanted}: the scale set {wanted.name} does not exist yet; it will be made, with "
        f"{_plural('label', wanted.labels)} {labels}"
    )


def present(wanted: Wanted, found: ScaleSet, session: str = "") -> list[Finding]:
    """There is one; its labels are those that GitHub tells.

    Args:
        session: What is to be said of its session.
    """
    there = [label.name for label in found.labels]
    told = f"{_plural('label', there)} {', '.join(there)}" if there else "no labels"
    after = f"; {session}" if session else ""
    if wanted.adopt == "never":
        after += f"; it is used only if this scaler made it ({wanted.table}.adopt)"
    known = f"scale set {found.name or wanted.name} is number {found.id}"
    return [well(f"{wanted}: {known}, with {told}{after}"), *_differing(wanted, there)]


def _differing(wanted: Wanted, there: Sequence[str]) -> list[Finding]:
    has, wants = {each.lower() for each in there}, {each.lower() for each in wanted.labels}
    lacks = [each for each in wanted.labels if each.lower() not in has]
    more = [each for each in there if each.lower() not in wants]
    differs = []
    if lacks:
        differs.append(
            f"it lacks {', '.join(lacks)}, and jobs that ask for "
            f"{'it' if len(lacks) == 1 else 'them'} do not come"
        )
    if more:
        differs.append(f"it has {', '.join(more)}, which the settings do not")
    if not differs:
        return []
    text = f"{wanted}: scale set {wanted.name} differs in its labels: {'; '.join(differs)}"
    if wanted.adopt == "any":
        fix = "scaler sets them when it starts."
    else:
        fix = (
            "If this scaler made it, it sets them when it starts. If another did, that one may "
            f"use it: give {wanted.table}.scale_set another name, or take it over by "
            f'{wanted.table}.adopt = "any".'
        )
    if lacks and len(there) == 1:
        fix += " (Enterprise Server before 3.21 may keep a single label.)"
    return [useful(text, fix)]


def held() -> str:
    """Another one has the session."""
    return "its session is held: a scaler listens to it, or the last one's has not ended yet"


def no_session(wanted: Wanted, why: str, *, maybe_open: bool) -> Finding:
    """It cannot be listened to.

    Args:
        maybe_open: Nothing says that the call did not open one all the same.
    """
    text = f"{wanted}: the session of scale set {wanted.name} does not open: {why}"
    if maybe_open:
        text += f"; it may be open all the same: {_ENDS}"
    return wrong(text, AGAIN)


def not_tried(wanted: Wanted) -> Finding:
    """There was no time left to open its session and to close it again."""
    return unseen(
        f"{wanted}: whether the session of scale set {wanted.name} opens was not looked at: "
        "the check had too little time left"
    )


def unclosed(wanted: Wanted, why: str) -> Finding:
    """The check's own session stays."""
    text = f"{wanted}: the session that this check opened could not be closed: {why}"
    return useful(text, f"Wait: {_ENDS}.")


def not_open(wanted: Wanted) -> Finding:
    """The service runs, and has no session."""
    return useful(f"{wanted}: no session of scale set {wanted.name} is open now", LATER)


def unknown(wanted: Wanted, error: GitHubError) -> Finding:
    """It could not be looked up."""
    text = f"{wanted}: scale set {wanted.name} could not be looked up: {error}"
    return wrong(text, AGAIN)


def is_way(error: GitHubError) -> bool:
    """Whether it would be the same for every profile: no answer, a limit, a refused token."""
    silent = error.kind is Kind.RETRY and not error.verdict.status
    return silent or error.kind in (Kind.WAIT, Kind.REFRESH)


def no_way(profiles: Sequence[str], host: str, error: GitHubError) -> Finding:
    """The Actions service is somewhere else than the REST API, and does not answer."""
    names = ", ".join(profiles)
    return wrong(
        f"{_plural('profile', profiles)} {names}: the Actions service does not answer: {error}",
        f"Look whether this machine, and its proxy, may reach {host}, too.",
    )


def _plural(what: str, these: Sequence[str]) -> str:
    return what if len(these) == 1 else f"{what}s"
