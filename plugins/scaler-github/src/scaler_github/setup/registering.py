"""The right to register runners, the one thing that all the others lead to; and runner groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler_github.client import DEFAULT_GROUP, GitHubError, Kind
from scaler_github.client.credentials import REGISTERING
from scaler_github.setup import rights
from scaler_github.setup.findings import AGAIN, unseen, well, wrong
from scaler_github.setup.owner import sso

if TYPE_CHECKING:
    from scaler import Finding
    from scaler_github.client import Actions
    from scaler_github.setup.asking import Answer
    from scaler_github.setup.rights import Signed
    from scaler_github.setup.where import Where


def may_register(where: Where, signed: Signed) -> Finding:
    """A registration token came, and the Actions service's address for it."""
    return well(f"the {signed} may register runners with {where.scope}")


def refused(where: Where, signed: Signed, error: GitHubError, words: Answer) -> Finding:
    """It did not.

    Args:
        error: Of the call that failed; its text leaves out what GitHub said.
        words: The answer to the same call once more, with what GitHub said.
    """
    if single_sign_on := sso(where, words):
        return single_sign_on
    if error.kind in (Kind.RETRY, Kind.WAIT, Kind.BUG):
        return wrong(f"runners cannot be registered now: {error}", AGAIN)
    if error.verdict.step == REGISTERING:
        url = f'{where.setting}.url = "{where.scope.url}"'
        return wrong(
            f"GitHub gives no address of its Actions service: {error}",
            f"Is {url} written as a browser shows it, upper and lower case too?",
        )
    told = words.text if words.status and not words.ok else str(error)
    scope = f"runners with {where.scope}"
    return wrong(f"the {signed} may not register {scope}: {told}", rights.grant(where, signed))


async def find_group(actions: Actions, where: Where, name: str, table: str) -> int | Finding:
    """The Actions service's id of a runner group, or why there is none.

    Args:
        table: Where the settings name it, such as `profiles.linux.actions-queue`.

    Raises:
        GitHubError: It could not be asked for.
    """
    if name.lower() == "default":
        return DEFAULT_GROUP
    if where.scope.kind == "repository":
        return _no_groups(where, name, table)
    group = await actions.runner_group(name)
    return _no_group(where, name, table) if group is None else group.id


def listed_group(where: Where, name: str, table: str, answer: Answer | None) -> Finding:
    """Whether a runner group is in the REST API's list of them.

    Args:
        answer: The list's first page; None where none is needed.
    """
    if name.lower() == "default":
        return well("its runners join the default runner group")
    if where.scope.kind == "repository":
        return _no_groups(where, name, table)
    if answer is None or not answer.ok:
        told = "" if answer is None else f": {answer.text}"
        return wrong(f'runner group "{name}" could not be looked up{told}', AGAIN)
    rows = answer.told.get("runner_groups")
    groups = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if name.lower() in {str(group.get("name", "")).lower() for group in groups}:
        return well(f'its runners join the runner group "{name}"')
    if answer.told.get("total_count", 0) != len(groups):
        return unseen(f'runner group "{name}" is not among the first {len(groups)}')
    return _no_group(where, name, table)


def _no_groups(where: Where, name: str, table: str) -> Finding:
    return wrong(
        f'runner group "{name}": {where.scope} has no runner groups',
        f"Leave {table}.runner_group out: only organizations and enterprises have them.",
    )


def _no_group(where: Where, name: str, table: str) -> Finding:
    return wrong(
        f'{where.scope} has no runner group "{name}"',
        f"Make it at {where.groups}, or set {table}.runner_group to one that is listed there.",
    )
