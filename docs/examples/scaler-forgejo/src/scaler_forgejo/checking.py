"""What `scaler check` says: each finding that is not well tells how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

from scaler import Finding
from scaler_forgejo.api import Api, Trouble

_OLDEST = 15  #: the first that lists jobs for an autoscaler and registers runners by a request


async def examine(api: Api, scope: str, labels: Sequence[tuple[str, ...]]) -> list[Finding]:
    """Ask for what the plugin will ask for, but for what changes something."""
    try:
        version = await api.version()
    except Trouble as error:
        return [Finding(ok=False, text=str(error), fix="set plugins.forgejo.url to Forgejo's own")]
    found = [
        Finding(
            ok=version.major >= _OLDEST,
            text=f"Forgejo {version.version}",
            fix=f"update Forgejo: {_OLDEST} or later is needed",
        )
    ]
    try:
        count = len(await api.runners())
        for each in labels:
            await api.jobs(each)
    except Trouble as error:
        found.append(Finding(ok=False, text=str(error), fix=_mend(error.status, scope)))
    else:
        text = f"the token reads jobs and runners of {scope} ({count} runners)"
        found.append(Finding(ok=True, text=text))
    return found


def _mend(status: int, scope: str) -> str:
    match status:
        case 401:
            return "make a new token at Forgejo, under Settings, Applications"
        case 403:
            return f"give the token the right to write to {_right(scope)}"
        case 404:
            return (
                f"is plugins.forgejo.scope = {scope!r} spelt as at Forgejo, and the token's to see?"
            )
        case _:
            return "try again; if it stays so, look at Forgejo's own log"


def _right(scope: str) -> str:
    kinds = {"orgs": "organization", "repos": "repository"}
    kind = scope.partition("/")[0]
    return f"write:{kinds.get(kind, kind)}"
