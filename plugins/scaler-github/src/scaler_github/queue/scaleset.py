"""A profile's scale set: found by name and group, or made; its labels kept as in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler_github.client import DEFAULT_GROUP, Actions, GitHubError, Kind, Verdict
from scaler_github.queue.adoption import check, has_labels, was_making

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_github.client.types import ScaleSet
    from scaler_github.queue.adoption import Kept, Sought


def wanted_labels(name: str, labels: Sequence[str]) -> list[str]:
    """The scale set's name, then the profile's labels, none of them twice."""
    unique: dict[str, str] = {}
    for label in (name, *labels):
        unique.setdefault(label.lower(), label)
    return list(unique.values())


def missing_labels(wanted: Sequence[str], scale_set: ScaleSet) -> list[str]:
    """The labels that GitHub did not take over, as older GHES does with all but one."""
    there = {label.name.lower() for label in scale_set.labels}
    return [label for label in wanted if label.lower() not in there]


async def group_id(actions: Actions, name: str) -> int:
    """The id of a runner group.

    Raises:
        GitHubError: CREDENTIAL where there is no such group: only a person can mend it.
    """
    if name.lower() == "default":
        return DEFAULT_GROUP
    group = await actions.runner_group(name)
    if group is None:
        scope = actions.credentials.scope
        text = f"{scope} has no runner group {name!r}: make it, or set runner_group to another"
        raise GitHubError(Verdict(Kind.CREDENTIAL, text))
    return group.id


async def ensure(actions: Actions, wanted: Sought, kept: Kept) -> ScaleSet:
    """The scale set of this name in this group, with these labels; it is ours from then on.

    Raises:
        Foreign: There is one, and it is not ours to take.
        Exception: That one is being made could not be kept; it was not made then.
    """
    found = await actions.find_scale_set(wanted.name, wanted.group)
    if found is None:
        found = await _make(actions, wanted, kept)
    check(found, await kept.load(), wanted)
    if not has_labels(found, wanted.labels):
        found = await actions.update_scale_set(found.id, wanted.name, wanted.group, wanted.labels)
    await kept.ours(wanted, found.id)
    return found


async def _make(actions: Actions, wanted: Sought, kept: Kept) -> ScaleSet:
    """A new scale set, or the one that GitHub says is there by now.

    Whoever does not learn what became of it looks for it the next time, and knows it again.
    """
    earlier = await kept.load()
    await kept.making(wanted)
    try:
        made = await actions.create_scale_set(wanted.name, wanted.group, wanted.labels)
    except GitHubError as error:
        exists = error.kind is Kind.EXISTS or error.verdict.status in (400, 409)
        # Else it was made by an earlier call of ours whose answer was lost, or may be by this one
        if error.kind is not Kind.RETRY and not was_making(earlier, wanted):
            await kept.not_made(wanted)
        found = await actions.find_scale_set(wanted.name, wanted.group) if exists else None
        if found is None:
            raise
        return found
    await kept.ours(wanted, made.id)
    return made
