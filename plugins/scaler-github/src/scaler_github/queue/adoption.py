"""Whose scale set it is that carries our name: what is kept of the one that we made or took over.

Pure but for `Kept`, which is loaded and saved.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scaler_github.client import GitHubError, Kind, Verdict, types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Context
    from scaler_github.client.types import ScaleSet

Adopt: TypeAlias = Literal["same", "any", "never"]


class Foreign(GitHubError):
    """There is a scale set of our name that is not ours: only a person can say what to do."""


@dataclass(frozen=True, slots=True)
class Sought:
    """The scale set of a profile, as its settings want it.

    Attributes:
        scope: `Scope.place` of its account.
        group: The runner group's number.
        setting: `profiles.X.actions-queue`, for texts.
    """

    profile: str
    setting: str
    scope: str
    name: str
    group: int
    labels: tuple[str, ...]
    adopt: Adopt = "same"


@dataclass(frozen=True, slots=True)
class Own:
    """The scale set that is ours, as it is stored.

    Attributes:
        id: Its number; 0 where it is not known.
        making: One is being made, or was: whether that came to its end is not known.
    """

    scope: str
    id: int
    name: str
    group: int
    making: bool = False


class _Stored(types.Wire, rename=None, frozen=True):
    scope: str
    id: types.Int64 = 0
    name: str = ""
    group: types.Int64 = 0
    making: bool = False


class Kept:
    """What is durably known of one profile's scale set."""

    def __init__(self, context: Context[Any, Any], profile: str) -> None:
        self._context = context
        self._profile = profile
        self._key = f"scale_set/{profile}"

    async def load(self) -> Own | None:
        """The scale set that is ours."""
        try:
            read = types.convert(await self._context.load(self._key), _Stored)
        except ValueError:  # nothing, or nothing that can be read
            return None
        return Own(read.scope, read.id, read.name, read.group, read.making)

    async def making(self, wanted: Sought) -> None:
        """One is about to be made. Raises where that cannot be kept: then it must not be."""
        kept = await self.load()
        number = kept.id if kept is not None and kept.scope == wanted.scope else 0
        await self._save(Own(wanted.scope, number, wanted.name, wanted.group, True))

    async def not_made(self, wanted: Sought) -> None:
        """GitHub said that none was made."""
        kept = await self.load()
        number = kept.id if kept is not None else 0
        await self._try(Own(wanted.scope, number, wanted.name, wanted.group) if number else None)

    async def ours(self, wanted: Sought, number: int) -> None:
        """This one is ours."""
        own = Own(wanted.scope, number, wanted.name, wanted.group)
        if await self.load() != own:
            await self._try(own)

    async def _try(self, own: Own | None) -> None:
        try:
            await self._save(own)
        except Exception:
            # The next start finds it again, and judges it again
            self._context.log.exception("%s: which scale set is ours is not kept", self._profile)

    async def _save(self, own: Own | None) -> None:
        await self._context.save(self._key, None if own is None else asdict(own))


def has_labels(found: ScaleSet, labels: Sequence[str]) -> bool:
    """Whether it has just these labels."""
    return _lower(label.name for label in found.labels) == _lower(labels)


def was_making(kept: Own | None, wanted: Sought) -> bool:
    """Whether just this one was being made, and what became of it is not known."""
    if kept is None or not kept.making or kept.scope != wanted.scope:
        return False
    return (kept.name.lower(), kept.group) == (wanted.name.lower(), wanted.group)


def check(found: ScaleSet, kept: Own | None, wanted: Sought) -> None:
    """See that a scale set that was found by name and group is ours, or may be taken over.

    Raises:
        Foreign: It is not, and may not.
    """
    same = has_labels(found, wanted.labels)
    if kept is not None and (kept.scope, kept.id) == (wanted.scope, found.id):
        return
    if same and was_making(kept, wanted):  # by a call of ours whose answer was lost
        return
    if wanted.adopt == "any" or (wanted.adopt == "same" and same):
        return
    raise Foreign(Verdict(Kind.CREDENTIAL, refusal(found, wanted)))


def refusal(found: ScaleSet, wanted: Sought) -> str:
    """Why it is not taken over, and what a person can do."""
    there = ", ".join(label.name for label in found.labels) or "none"
    ours = ", ".join(wanted.labels)
    if has_labels(found, wanted.labels):
        labels = f"with the labels that are wanted ({ours})"
        take = 'adopt = "same"'
    else:
        labels = f"with the labels {there}, where {ours} are wanted"
        take = 'adopt = "any"'
    return (
        f"scale set {wanted.name} (number {found.id}) of {wanted.scope} is there already, "
        f"{labels}, and was not made here: another scaler may serve it. "
        f"Set {wanted.setting}.scale_set to another name, or {wanted.setting}.{take} "
        "to take it over, or delete it at GitHub"
    )


def _lower(labels: Any) -> set[str]:
    return {label.lower() for label in labels}
