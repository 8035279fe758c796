"""What GitHub is asked about one request: two calls, or three; whatever is doubtful is a no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from scaler import Duration, Selection, Unavailable
from scaler_github.client import GitHubError, Kind
from scaler_github.client.transport import TooLarge
from scaler_github.client.types import unix_time
from scaler_github.client.vetted import Elsewhere
from scaler_github.selecting import bundle, proof
from scaler_github.selecting.codes import Code, refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Sequence

    from scaler_github.client.artifacts import Artifact, Found, RestArtifacts
    from scaler_github.selecting.query import Query

LARGEST = 16 << 10  # bytes of an artifact, as GitHub counts them
FUTURE = 60.0  # seconds that an artifact may be from the future: GitHub's machines have many clocks
_IN_PROGRESS = "in_progress"
_NOT_SHOWN = {Kind.CREDENTIAL, Kind.REFRESH}
T = TypeVar("T")


class NotShown(Unavailable):
    """The credential may not read artifacts there. Its text is for whoever runs the scaler."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the settings say of proofs.

    Attributes:
        age: Seconds that an artifact is good for.
        running: Whether its run must be in progress; looked at with the events, too.
        events: Which events may start its run; none: any.
    """

    prefix: str
    age: float
    most: int
    running: bool
    events: Sequence[str]


async def proven(
    artifacts: RestArtifacts, query: Query, rules: Rules, profiles: Collection[str]
) -> tuple[Selection, float]:
    """What a request's artifact asks for, and for how many seconds it stays fresh.

    Raises:
        Refused: No.
        GitHubError: GitHub did not say.
        NotShown: It will not say, to this credential.
    """
    if rules.running or rules.events:
        await _check_run(artifacts, query, rules)
    found = await _asked(
        artifacts.named(query.owner, query.name, query.run_id, _name(query, rules))
    )
    artifact = the_one(found, query)
    left = fresh(artifact, found.now, rules.age)
    try:
        archive = await _asked(
            artifacts.archive(query.owner, query.name, artifact.id), gone=Code.EXPIRED
        )
    except TooLarge:
        raise refused(Code.TOO_LARGE, "more than its list said") from None
    except Elsewhere as error:
        raise refused(Code.ELSEWHERE, str(error)) from None
    bundle.check_digest(archive, artifact.digest)
    asked = proof.judged(bundle.content(archive), query, profiles, rules.most)
    return Selection(profile=asked.profile, count=asked.count), left


async def _check_run(artifacts: RestArtifacts, query: Query, rules: Rules) -> None:
    run = await _asked(artifacts.run(query.owner, query.name, query.run_id))
    whose = run.repository.full_name if run.repository is not None else ""
    if str(run.id) != query.run_id or whose.lower() != query.repository.lower():
        raise refused(Code.NO_RUN, "GitHub shows another")
    if run.status != _IN_PROGRESS:
        raise refused(Code.RUN_OVER, f"it is {run.status}")
    if rules.events and run.event not in rules.events:
        raise refused(Code.EVENT, run.event[:40])


def the_one(found: Found, query: Query) -> Artifact:
    """The artifact, where there is exactly one that can be the request's proof.

    Raises:
        Refused: There is none, or it cannot.
    """
    if len(found.artifacts) > 1 or not found.complete:
        raise refused(Code.AMBIGUOUS)
    if not found.artifacts:
        raise refused(Code.NO_ARTIFACT)
    (artifact,) = found.artifacts
    run = artifact.workflow_run.id if artifact.workflow_run is not None else None
    if run is not None and str(run) != query.run_id:
        raise refused(Code.OTHER_RUN)
    if artifact.expired:
        raise refused(Code.EXPIRED)
    if not 0 < artifact.size_in_bytes <= LARGEST:
        raise refused(Code.TOO_LARGE, f"{artifact.size_in_bytes} bytes, wanted 1 to {LARGEST}")
    return artifact


def fresh(artifact: Artifact, now: float, most: float) -> float:
    """Seconds until it is too old.

    Args:
        now: Unix seconds, by GitHub's clock.
        most: Seconds that it is good for.

    Raises:
        Refused: It is already, or its time cannot be.
    """
    created = unix_time(artifact.created_at) if artifact.created_at is not None else None
    if created is None:
        raise refused(Code.UNDATED)
    age = now - created
    if age > most:
        raise refused(Code.TOO_OLD, f"it was made more than {Duration(most)} ago")
    if age < -FUTURE:
        raise refused(Code.TOO_NEW, f"by more than {FUTURE:g} s")
    return most - age


def _name(query: Query, rules: Rules) -> str:
    return f"{rules.prefix}{query.unique_id}"


async def _asked(call: Awaitable[T], gone: Code = Code.NO_RUN) -> T:
    """What GitHub answers; what it does not show, and what it will not show, are outcomes."""
    try:
        return await call
    except GitHubError as error:
        if error.kind is Kind.GONE or 300 <= error.verdict.status < 400:
            raise refused(gone) from None
        if error.kind in _NOT_SHOWN:
            raise NotShown(str(error)) from None
        raise
