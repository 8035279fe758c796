"""What Forgejo answers, as far as it is used here. Unknown fields are passed over.

Forgejo's own description of it is served by every instance, at `/swagger.v1.json`.
"""

from __future__ import annotations

import msgspec


class Run(msgspec.Struct, frozen=True):
    """A job that waits or runs, as `GET …/actions/runners/jobs` lists it.

    Attributes:
        id: The job's number; it stays when the job is run again.
        attempt: Which run of it this is, from 1; 0 from a Forgejo that does not tell (before 15).
        handle: This attempt's own name, for `forgejo-runner one-job --handle`.
        runs_on: The labels that it asks for; Forgejo writes null where there are none.
        status: `waiting` or `running`; others are not listed.
    """

    id: int
    status: str
    name: str = ""
    attempt: int = 0
    handle: str = ""
    run_id: int = 0
    runs_on: list[str] | None = None


class Listed(msgspec.Struct, frozen=True):
    """A runner, as `GET …/actions/runners` lists it.

    Attributes:
        name: Chosen when it was registered; not unique.
        status: `offline` (not heard of for a minute), `idle`, or `active` (worked in the last 10 s;
            a runner that works says so each second).
    """

    id: int
    name: str
    status: str


class Made(msgspec.Struct, frozen=True):
    """The answer to `POST …/actions/runners`: what the runner signs in with."""

    id: int
    uuid: str
    token: str

    def __repr__(self) -> str:
        """The default would show the token in every traceback and log."""
        return f"Made(id={self.id})"


class Version(msgspec.Struct, frozen=True):
    """The answer to `GET /version`, such as `15.0.2+gitea-1.22.0`."""

    version: str

    @property
    def major(self) -> int:
        """Its first number; 0 where it does not begin with one."""
        first = self.version.partition(".")[0]
        return int(first) if first.isdecimal() else 0
