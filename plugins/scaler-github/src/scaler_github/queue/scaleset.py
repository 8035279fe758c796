"""A profile's scale set: found by name and group, or made; its labels kept as in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler_github.client import DEFAULT_GROUP, Actions, GitHubError, Kind, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_github.client.types import ScaleSet


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


async def ensure(actions: Actions, name: str, group: str, labels: Sequence[str]) -> ScaleSet:
    """The scale set of this name in this group, with these labels."""
    number = await group_id(actions, group)
    found = await actions.find_scale_set(name, number)
    if found is None:
        try:
            return await actions.create_scale_set(name, number, labels)
        except GitHubError as error:
            if error.verdict.status not in (400, 409):
                raise
            # Made a moment ago, perhaps by a call of ours whose answer was lost
            found = await actions.find_scale_set(name, number)
            if found is None:
                raise
    if {label.name.lower() for label in found.labels} != {label.lower() for label in labels}:
        found = await actions.update_scale_set(found.id, name, number, labels)
    return found
