"""Runs and artifacts by the REST API; and the other host, where archives are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.testing import listing, rights
from scaler_github.testing.errors import RestRefusal
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.routing import Routes
from scaler_github.testing.timing import rest_stamp

if TYPE_CHECKING:
    from scaler_github.testing.artifacts import Artifact, Run
    from scaler_github.testing.rest import RestService
    from scaler_github.testing.site import Site
    from scaler_github.testing.tokens import Token

_KEPT = 90 * 86400.0  # seconds until an artifact expires


class RestArtifacts:
    """Handlers under `/repos/OWNER/REPO/actions`, added to the routes of a `RestService`."""

    def __init__(self, site: Site, rest: RestService) -> None:
        self._site = site
        self._rest = rest
        self._store = site.artifacts
        base = "/repos/{owner}/{repo}/actions"
        for name, path, handler in (
            ("run", "/runs/{number}", self.run),
            ("run-artifacts", "/runs/{number}/artifacts", self.of_run),
            ("artifacts", "/artifacts", self.every),
            ("artifact-zip", "/artifacts/{number}/zip", self.archive),
        ):
            rest.routes.add(name, "GET", f"{base}{path}", rest.guard(handler))
        self.blobs = Routes("blob")
        self.blobs.add("blob", "GET", "{number}", self.blob)

    def _repository(self, person: Token, parts: dict[str, str]) -> str:
        scope = self._rest.scope({"owner": parts["owner"], "repo": parts["repo"]})
        self._rest.require(person, scope, dict.fromkeys(rights.RUNNERS, rights.ARTIFACTS))
        return scope

    def _run(self, person: Token, parts: dict[str, str]) -> Run:
        repository = self._repository(person, parts)
        run = self._store.run(_number(parts["number"]), self._site.world.flow.jobs.values())
        if run is None or run.repository.lower() != repository.lower():
            raise RestRefusal(404, "Not Found")
        return run

    def _artifact(self, person: Token, parts: dict[str, str]) -> Artifact:
        repository = self._repository(person, parts)
        found = self._store.artifacts.get(_number(parts["number"]))
        if found is None or found.repository.lower() != repository.lower():
            raise RestRefusal(404, "Not Found")
        return found

    def run(self, request: Request, person: Token, **parts: str) -> Response:
        """One workflow run."""
        run = self._run(person, parts)
        repository = {"id": 3, "full_name": run.repository}
        rest = {"run_attempt": 1, "repository": repository, "head_repository": repository}
        shown = {"id": run.id, "status": run.status, "event": run.event, **rest}
        return json_response(200, shown)

    def of_run(self, request: Request, person: Token, **parts: str) -> Response:
        """A page of a run's artifacts, narrowed by `name`."""
        return self._page(request, self._store.of_run(self._run(person, parts).id))

    def every(self, request: Request, person: Token, **parts: str) -> Response:
        """A page of a repository's artifacts, narrowed by `name`."""
        repository = self._repository(person, parts).lower()
        rows = [
            one for one in self._store.artifacts.values() if one.repository.lower() == repository
        ]
        return self._page(request, rows)

    def _page(self, request: Request, rows: list[Artifact]) -> Response:
        name = request.query.get("name")
        chosen = [_shown(self._site, one) for one in rows if name in (None, one.name)]
        return listing.page(self._site, request, "artifacts", chosen)

    def archive(self, request: Request, person: Token, **parts: str) -> Response:
        """Where an archive is, on another host, for a minute; 410 when it has expired."""
        artifact = self._artifact(person, parts)
        if artifact.expired:
            raise RestRefusal(410, "Artifact has expired")
        ticket = self._store.ticket(artifact, self._site.world.now())
        where = f"{self._site.blob_origin}{self._site.blob_path}{artifact.id}?sig={ticket}"
        return Response(302, b"", {"location": artifact.location or where})

    def blob(self, request: Request, number: str) -> Response:
        """An archive, for whoever has its ticket; a credential beside it is refused."""
        artifact = self._store.artifacts.get(_number(number))
        if "authorization" in request.headers:
            return Response(400, b"InvalidAuthenticationInfo", {"content-type": "text/plain"})
        until = artifact.tickets.get(request.query.get("sig", ""), 0.0) if artifact else 0.0
        if artifact is None or until <= self._site.world.now():
            return Response(403, b"AuthenticationFailed", {"content-type": "text/plain"})
        return Response(200, artifact.archive, {"content-type": "application/zip"})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RestRefusal(404, "Not Found")
    return int(text)


def _shown(site: Site, one: Artifact) -> dict[str, Any]:
    address = f"{site.rest_url}/repos/{one.repository}/actions/artifacts/{one.id}"
    created = one.created if one.created is not None else site.world.now()
    shown: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "size_in_bytes": one.size,
        "url": address,
        "archive_download_url": f"{address}/zip",
        "expired": one.expired,
        "created_at": None if one.created is None else rest_stamp(one.created),
        "expires_at": rest_stamp(created + _KEPT),
    }
    if one.digest is not None:
        shown["digest"] = one.digest
    if one.run is not None:
        shown["workflow_run"] = {"id": one.run, "repository_id": 3, "head_repository_id": 3}
    return shown
