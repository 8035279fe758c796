"""Artifacts of workflow runs: found by name, and fetched without a credential.

Every method makes one or two calls of the REST API, for `Purpose.SELECTING`, and raises
`GitHubError` unless it succeeds; none is ever repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from scaler_github.client import types, urls
from scaler_github.client.classify import GitHubError, Kind, Verdict, server_time
from scaler_github.client.limits import Purpose
from scaler_github.client.transport import TooLarge, TransportError
from scaler_github.client.vetted import Elsewhere, Vetting

if TYPE_CHECKING:
    from scaler_github.client.rest import Rest
    from scaler_github.client.transport import Response

T = TypeVar("T")
DEADLINE = 10.0  # seconds for one call: somebody waits for the answer
_PAGE = 100


class RunOfArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """Which run an artifact says that it is of."""

    id: types.Int64 | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact, as a list shows it.

    Attributes:
        created_at: None where GitHub does not tell.
        digest: `sha256:` and 64 hexadecimal digits, of its archive; None where it is not told.
    """

    id: types.Int64
    name: str
    size_in_bytes: types.Int64
    expired: bool
    created_at: str | None = None
    digest: str | None = None
    workflow_run: RunOfArtifact | None = None


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """The repository of a run."""

    full_name: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow run."""

    id: types.Int64
    status: str | None = None
    event: str = ""
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The artifacts of one name.

    Attributes:
        complete: Whether there can be no more of them: GitHub has shown all that it announced.
        now: When GitHub answered, by its own clock, in Unix seconds.
    """

    artifacts: list[Artifact]
    complete: bool
    now: float


class RestArtifacts:
    """What the REST API of one account tells of artifacts, in whichever repository.

    Args:
        most: Bytes of an archive, at most; more are not read.
    """

    def __init__(self, rest: Rest, *, most: int = 64 << 10) -> None:
        self._rest = rest
        self._vetting = Vetting(rest.api)
        self._most = most

    async def named(self, owner: str, repo: str, run: str, name: str) -> Found:
        """The artifacts of a run that have exactly this name. GONE: GitHub shows no such run."""
        what = f"list artifacts of run {run} of {owner}/{repo}"
        path = f"{_actions(owner, repo)}/runs/{urls.segment(run)}/artifacts"
        query: dict[str, str | int] = {"name": name, "per_page": _PAGE}
        response = await self._get(path, what, query)
        plain = _plain(response, what)
        entries = plain.get("artifacts") if isinstance(plain, dict) else None
        total = plain.get("total_count") if isinstance(plain, dict) else None
        if not isinstance(entries, list) or not isinstance(total, int):
            raise _unreadable(what, "no list of artifacts in it")
        # The filter is GitHub's; that it was heeded is not taken on trust
        ours = [entry for entry in entries if types.named(entry, name.__eq__)]
        now = server_time(response.headers, self._rest.exchange.clock.now())
        artifacts = [_convert(entry, Artifact, what) for entry in ours]
        return Found(artifacts, total <= len(entries), now)

    async def run(self, owner: str, repo: str, run: str) -> Run:
        """A workflow run. GONE: GitHub shows none such."""
        what = f"look at run {run} of {owner}/{repo}"
        path = f"{_actions(owner, repo)}/runs/{urls.segment(run)}"
        return _convert(_plain(await self._get(path, what), what), Run, what)

    async def archive(self, owner: str, repo: str, number: int) -> bytes:
        """An artifact's archive. GONE: it is no more, or has expired.

        GitHub answers where it is, on another host; that is asked by nobody in particular, and
        once: whoever answers with yet another address is not followed.

        Raises:
            Elsewhere: GitHub names a place that nothing is fetched from.
            TooLarge: It is that.
        """
        what = f"fetch artifact {number} of {owner}/{repo}"
        path = f"{_actions(owner, repo)}/artifacts/{urls.segment(number)}/zip"
        told, error = await self._rest.attempt(
            "GET", path, what, purpose=Purpose.SELECTING, deadline=DEADLINE
        )
        if told is None or told.status != 302:
            raise error or _unreadable(what, "no address in it")
        where = told.headers.get("location", "")
        try:
            answer = await self._rest.exchange.transport.fetch(
                where, self._vetting, most=self._most, deadline=DEADLINE
            )
        except TooLarge:  # says something of the artifact: asking again would not help
            raise
        except TransportError as failure:
            text = f"{what}: {urls.host_of(where)}: {failure}"
            raise GitHubError(Verdict(Kind.RETRY, text)) from None
        if 300 <= answer.status < 400:
            raise Elsewhere("where GitHub keeps the artifact, another address was told again")
        if answer.status != 200:
            text = f"{what}: {urls.host_of(where)} answered {answer.status}"
            raise GitHubError(Verdict(Kind.RETRY, text))
        return answer.body

    async def _get(
        self, path: str, what: str, query: dict[str, str | int] | None = None
    ) -> Response:
        response, error = await self._rest.attempt(
            "GET", path, what, query=query, purpose=Purpose.SELECTING, deadline=DEADLINE
        )
        if error is not None:
            raise error
        assert response is not None, "what did not fail was answered"
        return response


def _actions(owner: str, repo: str) -> str:
    return f"repos/{urls.segment(owner)}/{urls.segment(repo)}/actions"


def _plain(response: Response, what: str) -> Any:
    try:
        return types.decode(response.body)
    except ValueError as error:
        raise _unreadable(what, str(error)) from None


def _convert(value: Any, kind: type[T], what: str) -> T:
    try:
        return types.convert(value, kind)
    except ValueError as error:
        raise _unreadable(what, str(error)) from None


def _unreadable(what: str, why: str) -> GitHubError:
    return GitHubError(Verdict(Kind.RETRY, f"GitHub's answer to {what} is not readable: {why}"))
