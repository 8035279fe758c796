"""Whether artifacts of workflow runs can be read, as far as that can be seen without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler_github.client import Kind, urls
from scaler_github.setup.asking import Answer, Asker
from scaler_github.setup.findings import AGAIN, unseen, useful, well, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler import Finding
    from scaler_github.account import Account

_PATIENCE = 20.0  # seconds for all of them
_MOST = 10  # repositories that are looked at
_FIX = (
    "A fine-grained token or an App needs the repository permission Actions: read, a classic token "
    "the scope repo for what is not public; and the repository must be among those it may see."
)


async def artifacts(account: Account, allowed: Sequence[str]) -> list[Finding]:
    """Look at the artifacts of each repository that is named; those that are `OWNER/*` are not."""
    named = [entry for entry in allowed if not entry.endswith("/*")][:_MOST]
    found: list[Finding] = []
    with trio.move_on_after(_PATIENCE) as patience:
        async with account.open():
            found += [await _look(Asker(account), entry) for entry in named]
    if patience.cancelled_caught:
        found.append(wrong(f"looking for artifacts took longer than {_PATIENCE:g} s", AGAIN))
    for entry in allowed:
        if entry.endswith("/*"):
            text = f"whether artifacts of {entry} can be read is not seen before a run asks"
            found.append(unseen(text))
    return found


async def _look(asker: Asker, entry: str) -> Finding:
    path = f"repos/{'/'.join(urls.segment(part) for part in entry.split('/'))}/actions/artifacts"
    answer: Answer = await asker.get(path, f"GET /{path}", per_page=1)
    if answer.ok:
        return well(f"artifacts of {entry} can be read")
    if answer.kind in (Kind.RETRY, Kind.WAIT):
        return useful(f"artifacts of {entry} cannot be asked for now: {answer.text}", AGAIN)
    return wrong(f"artifacts of {entry} cannot be read: {answer.text}", _FIX)
