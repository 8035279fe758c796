"""What somebody asks for, read as if nobody had looked at it before; and which repositories may."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_github.selecting.codes import Code, refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler import SelectionRequest

# Full matches alone, in ASCII: each of them ends up in a path, a label or a file's name
_UNIQUE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_RUN_ID = re.compile(r"[1-9][0-9]{0,18}")
_OWNER = re.compile(r"[A-Za-z0-9-]{1,39}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_DOTS = {".", ".."}


@dataclass(frozen=True, slots=True)
class Query:
    """A request that is well formed."""

    unique_id: str
    owner: str
    name: str
    run_id: str

    @property
    def repository(self) -> str:
        """`OWNER/NAME`, as it was asked."""
        return f"{self.owner}/{self.name}"

    @property
    def run(self) -> tuple[str, str]:
        """What tells its run from others: GitHub compares names without case."""
        return self.repository.lower(), self.run_id


def read(request: SelectionRequest) -> Query:
    """Read a request.

    Raises:
        Refused: A part of it is not what it must be; which one is told, and nothing of it.
    """
    owner, name = _repository(request.qualified_repo)
    if not _UNIQUE_ID.fullmatch(request.unique_id):
        raise refused(Code.MALFORMED, "unique_id must be a UUIDv4 in lower case")
    if not _RUN_ID.fullmatch(request.run_id):
        raise refused(Code.MALFORMED, "run_id must be a number of 19 digits at most")
    return Query(request.unique_id, owner, name, request.run_id)


def _repository(text: str) -> tuple[str, str]:
    owner, slash, name = text.partition("/")
    if not (slash and _OWNER.fullmatch(owner) and _NAME.fullmatch(name)) or name in _DOTS:
        raise refused(Code.MALFORMED, "qualified_repo must be OWNER/NAME, as GitHub writes them")
    return owner, name


def check_allowed(entries: Iterable[str]) -> None:
    """Whether each is `OWNER/*` or `OWNER/NAME`. Raises ValueError, which says which is not."""
    for entry in entries:
        owner, _, name = entry.partition("/")
        good = name == "*" or (_NAME.fullmatch(name) and name not in _DOTS)
        if not (_OWNER.fullmatch(owner) and good):
            raise ValueError(f'found "{entry}", wanted "OWNER/*" or "OWNER/NAME"')


def allowed(query: Query, entries: Iterable[str]) -> bool:
    """Whether its repository is one of these: owner and name are compared whole, without case."""
    either = {f"{query.owner}/*".lower(), query.repository.lower()}
    return any(entry.lower() in either for entry in entries)
