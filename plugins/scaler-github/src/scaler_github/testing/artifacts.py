"""Workflow runs and their artifacts, as far as somebody asks the REST API for them."""

from __future__ import annotations

import hashlib
import io
import itertools
import secrets
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler_github.testing.records import Job
    from scaler_github.testing.site import Site

_TICKET = 60.0  # seconds for which the address of an archive is good


@dataclass(slots=True)
class Run:
    """A workflow run.

    Attributes:
        status: `queued`, `in_progress`, `completed`; empty: as its jobs are.
    """

    id: int
    repository: str
    event: str = "push"
    status: str = ""


@dataclass(slots=True, kw_only=True)
class Artifact:
    """An artifact; change it at will.

    Attributes:
        archive: What is answered in place of a zip, as it is.
        created: Seconds since the epoch; None: GitHub does not tell.
        size: In bytes, as lists tell it.
        run: The run that it says it is of; None: it says nothing.
        digest: As lists tell it; None where they do not.
        location: Where its archive is said to be, in place of the real address.
    """

    id: int
    run_id: int
    repository: str
    name: str
    archive: bytes
    created: float | None
    size: int
    run: int | None
    digest: str | None
    expired: bool = False
    location: str | None = None
    tickets: dict[str, float] = field(default_factory=dict)


class Shelf:
    """Every run and every artifact that was made by hand; part of `Simulator`."""

    _site: Site

    def add_run(
        self, repository: str, *, event: str = "push", status: str = "in_progress", number: int = 0
    ) -> Run:
        """A workflow run without jobs.

        Args:
            number: its id; default: the next one.
        """
        store = self._site.artifacts
        run = Run(number or next(store.run_ids), repository, event, status)
        store.runs[run.id] = run
        self._site.world.changed.ring()
        return run

    def add_artifact(
        self,
        run_id: int | str,
        name: str,
        content: str | bytes = "",
        *,
        repository: str | None = None,
        file: str = "proof.txt",
        archive: bytes | None = None,
        age: float = 0.0,
    ) -> Artifact:
        """Make an artifact, as the action upload-artifact does.

        Args:
            run_id: of a run with jobs, or of one that is made by this (with `repository`).
            content: of its one file, called `file`.
            repository: `OWNER/NAME`; default: the run's.
            archive: in place of a zip of that file.
            age: seconds since it was made.

        Raises:
            LookupError: there is no such run, and no repository is told.
        """
        store, now, number = self._site.artifacts, self._site.world.now(), int(run_id)
        run = store.run(number, self._site.world.flow.jobs.values())
        if repository is None:
            if run is None:
                raise LookupError(f"no run {number}")
            repository = run.repository
        if run is None:
            store.runs[number] = Run(number, repository, status="in_progress")
        data = zipped(file, content) if archive is None else archive
        made = Artifact(
            id=next(store.ids),
            run_id=number,
            repository=repository,
            name=name,
            archive=data,
            created=now - age,
            size=len(data),
            run=number,
            digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        )
        store.artifacts[made.id] = made
        self._site.world.changed.ring()
        return made

    def add_proof(
        self,
        job: Job,
        unique_id: str,
        image: str,
        count: int | None = None,
        *,
        prefix: str = "servo-ci-runners_",
    ) -> Artifact:
        """Make the artifact by which a job's run asks for runners of an image."""
        lines = [
            f"unique_id={unique_id}",
            f"qualified_repo={job.repository}",
            f"run_id={job.run_id}",
            f"self_hosted_image_name={image}",
        ]
        if count is not None:
            lines.append(f"self_hosted_runner_count={count}")
        text = "".join(f"{line}\n" for line in lines)
        return self.add_artifact(job.run_id, f"{prefix}{unique_id}", text)

    def remove_artifact(self, artifact: Artifact | int) -> None:
        """Delete an artifact; fine if it is gone."""
        number = artifact if isinstance(artifact, int) else artifact.id
        self._site.artifacts.artifacts.pop(number, None)


@dataclass(slots=True)
class Store:
    """All that there is."""

    runs: dict[int, Run] = field(default_factory=dict)
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(4001))
    run_ids: itertools.count[int] = field(default_factory=lambda: itertools.count(8_000_000_001))

    def run(self, number: int, jobs: Iterable[Job]) -> Run | None:
        """A run that was made by hand, or that jobs belong to."""
        own = [job for job in jobs if job.run_id == number]
        if (made := self.runs.get(number)) is not None:
            return made
        if not own:
            return None
        states = {job.state for job in own}
        status = "completed" if states == {"completed"} else "in_progress"
        return Run(number, own[0].repository, own[0].event, status)

    def of_run(self, number: int) -> list[Artifact]:
        """A run's artifacts, the newest first."""
        return [each for each in reversed(self.artifacts.values()) if each.run_id == number]

    def ticket(self, artifact: Artifact, now: float) -> str:
        """What opens an artifact's archive for a minute."""
        text = secrets.token_hex(16)
        artifact.tickets = {key: until for key, until in artifact.tickets.items() if until > now}
        artifact.tickets[text] = now + _TICKET
        return text


def zipped(file: str, content: str | bytes) -> bytes:
    """A zip of one file, as GitHub's upload action makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(file, content)
    return out.getvalue()
