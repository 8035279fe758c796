"""The Actions service: scale sets, groups, sessions, jobs to acquire, agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.testing import errors, jit, render, tokens
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.routing import Routes
from scaler_github.testing.site import parse_id, service_json, service_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_github.testing.records import Agent, ScaleSet, Session
    from scaler_github.testing.site import Site

_SETS = "_apis/runtime/runnerscalesets"
_AGENTS = "_apis/distributedtask/pools/0/agents"


class ActionsService:
    """Handlers of the Actions service; each gets the scope of the admin token."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._world = site.world
        site.world.acquire_url = lambda one: f"{site.service_url}{_SETS}/{one.id}/acquirejobs"
        self.routes = Routes("actions")
        for name, method, path, handler in (
            ("find-scale-set", "GET", f"{_SETS}", self.find_scale_sets),
            ("create-scale-set", "POST", f"{_SETS}", self.create_scale_set),
            ("get-scale-set", "GET", f"{_SETS}/{{number}}", self.get_scale_set),
            ("update-scale-set", "PATCH", f"{_SETS}/{{number}}", self.update_scale_set),
            ("delete-scale-set", "DELETE", f"{_SETS}/{{number}}", self.delete_scale_set),
            ("create-session", "POST", f"{_SETS}/{{number}}/sessions", self.create_session),
            ("refresh-session", "PATCH", f"{_SETS}/{{number}}/sessions/{{sid}}", self.refresh),
            ("delete-session", "DELETE", f"{_SETS}/{{number}}/sessions/{{sid}}", self.end),
            ("acquirable", "GET", f"{_SETS}/{{number}}/acquirablejobs", self.acquirable),
            ("jitconfig", "POST", f"{_SETS}/{{number}}/generatejitconfig", self.jitconfig),
            ("runner-groups", "GET", "_apis/runtime/runnergroups/?", self.runner_groups),
            ("list-agents", "GET", f"{_AGENTS}/?", self.list_agents),
            ("get-agent", "GET", f"{_AGENTS}/{{number}}", self.get_agent),
            ("delete-agent", "DELETE", f"{_AGENTS}/{{number}}", self.delete_agent),
        ):
            self.routes.add(name, method, path, self._admin(handler))
        self.routes.add("acquire", "POST", f"{_SETS}/{{number}}/acquirejobs", self.acquire)

    def _admin(self, handler: Callable[..., Response]) -> Callable[..., Response]:
        def guarded(request: Request, **parts: str) -> Response:
            _check_version(request)
            token = self._site.authorized(request, "Bearer", tokens.ADMIN)
            if token is None:
                raise errors.unauthorized("The admin token is missing, wrong or has expired.")
            return handler(request, token.scope, **parts)

        return guarded

    def _group(self, one: ScaleSet) -> str:
        return self._world.groups.get(one.group_id, "")

    def _shown(self, one: ScaleSet) -> dict[str, Any]:
        shown = render.scale_set(one, self._group(one))
        if not self._world.options.statistics_on_get:
            shown["statistics"] = None
        return shown

    # Scale sets

    def find_scale_sets(self, request: Request, scope: str) -> Response:
        """List the scale sets, narrowed by `name` and `runnerGroupId` if they are given."""
        group = request.query.get("runnerGroupId")
        found = self._world.find_scale_sets(
            scope, request.query.get("name"), None if group is None else parse_id(group)
        )
        return _listing([self._shown(one) for one in found])

    def get_scale_set(self, request: Request, scope: str, *, number: str) -> Response:
        """One scale set, with its statistics."""
        return json_response(200, self._shown(self._one(scope, number)))

    def create_scale_set(self, request: Request, scope: str) -> Response:
        """Answers 200, not 201; 400 if the name is taken in its group."""
        fields = _scale_set_fields(service_object(request))
        if not fields.get("name"):
            raise errors.bad_request("A runner scale set needs a name.")
        defaults = {"group_id": 1, "labels": [], "setting": {}, "enabled": True}
        one = self._world.create_scale_set(scope, {**defaults, **fields})
        return json_response(200, self._shown(one))

    def update_scale_set(self, request: Request, scope: str, *, number: str) -> Response:
        """Change what the body names and leave the rest."""
        one = self._one(scope, number)
        self._world.update_scale_set(one, _scale_set_fields(service_object(request)))
        return json_response(200, self._shown(one))

    def delete_scale_set(self, request: Request, scope: str, *, number: str) -> Response:
        """Refused with 400 while one of its runners has a job."""
        self._world.delete_scale_set(self._one(scope, number))
        return Response(204)

    def _one(self, scope: str, text: str) -> ScaleSet:
        return self._world.scale_set(scope, parse_id(text))

    def runner_groups(self, request: Request, scope: str) -> Response:
        """List the groups, narrowed by `groupName` if it is given."""
        wanted = request.query.get("groupName")
        return _listing(
            [
                {"id": key, "name": name, "size": 0, "isDefaultGroup": key == 1}
                for key, name in self._world.groups.items()
                if wanted is None or wanted.lower() == name.lower()
            ]
        )

    # Sessions

    def create_session(self, request: Request, scope: str, *, number: str) -> Response:
        """Answers 409 while another session has the queue, also of the same owner."""
        one = self._one(scope, number)
        owner = service_object(request).get("ownerName")
        if not isinstance(owner, str) or not owner:
            raise errors.bad_request("A session needs an ownerName.")
        return self._session(one, self._world.open_session(one, owner))

    def refresh(self, request: Request, scope: str, *, number: str, sid: str) -> Response:
        """A new queue token, with a new queue URL; the old pair goes on until it expires."""
        one = self._one(scope, number)
        held = self._world.session(one, sid)
        held.seen = self._world.now()
        return self._session(one, held)

    def end(self, request: Request, scope: str, *, number: str, sid: str) -> Response:
        """Give the queue free."""
        one = self._one(scope, number)
        self._world.session(one, sid)
        self._world.end_session(one)
        return Response(204)

    def _session(self, one: ScaleSet, held: Session) -> Response:
        token = self._site.tokens.issue(tokens.QUEUE, one.scope, held.id, one.id)
        url = self._site.queue_url(token)
        return json_response(200, render.session(held, one, self._group(one), url, token.text))

    # Jobs

    def acquire(self, request: Request, *, number: str) -> Response:
        """The one call here that takes the queue token, and a bare array."""
        _check_version(request)
        token = self._site.authorized(request, "Bearer", tokens.QUEUE)
        if token is None:
            raise errors.unauthorized("The queue token is missing, wrong or has expired.")
        one = self._one(token.scope, number)
        if token.scale_set_id != one.id:
            raise errors.unauthorized("The queue token is of another runner scale set.")
        ids = service_json(request)
        if not isinstance(ids, list) or not all(type(one_id) is int for one_id in ids):
            raise errors.bad_request("The request body must be an array of request ids.")
        return _listing(self._world.flow.acquire(one, ids))

    def acquirable(self, request: Request, scope: str, *, number: str) -> Response:
        """The jobs on offer; 204 if there are none, as always in the assigned flow."""
        one = self._one(scope, number)
        url = self._world.acquire_url(one)
        found = [render.acquirable(job, url) for job in one.offered.values()]
        return _listing(found) if found else Response(204)

    # Agents

    def jitconfig(self, request: Request, scope: str, *, number: str) -> Response:
        """Register a runner; 409 AgentExistsException if its name is taken."""
        one = self._one(scope, number)
        body = service_object(request)
        name = body.get("name")
        if not isinstance(name, str) or not name.strip():
            raise errors.bad_request("A runner needs a name.")
        agent = self._world.create_agent(scope, name, one)
        folder = str(body.get("workFolder") or "_work")
        encoded = jit.encode(agent, self._site.service_url, folder)
        return json_response(200, {"runner": render.reference(agent), "encodedJITConfig": encoded})

    def list_agents(self, request: Request, scope: str) -> Response:
        """All agents, or the one that is called `agentName`."""
        name = request.query.get("agentName")
        if name is None:
            found = self._world.listed_agents(scope)
        else:
            named = self._world.agent_named(name, scope)
            found = [named] if named and self._world.listed(named) else []
        return _listing([render.agent(agent) for agent in found])

    def get_agent(self, request: Request, scope: str, *, number: str) -> Response:
        """One agent, or 404 AgentNotFoundException."""
        agent = self._agent(scope, number)
        if agent is None:
            raise errors.no_agent(number)
        return json_response(200, render.agent(agent))

    def delete_agent(self, request: Request, scope: str, *, number: str) -> Response:
        """204 also if there is no such agent; 400 JobStillRunningException while busy."""
        agent = self._agent(scope, number)
        if agent is not None:
            self._world.delete_agent(agent)
        return Response(204)

    def _agent(self, scope: str, text: str) -> Agent | None:
        agent = self._world.agents.get(parse_id(text))
        return agent if agent is not None and agent.scope == scope else None


def _listing(value: list[Any]) -> Response:
    return json_response(200, {"count": len(value), "value": value})


def _check_version(request: Request) -> None:
    given = request.query.get("api-version")
    if given != "6.0-preview":
        raise errors.Refusal(
            400,
            "VssVersionNotSpecifiedException",
            f'No usable api-version was supplied for the "{request.method}" request: '
            f"expected 6.0-preview in the query, got {given}.",
        )


def _scale_set_fields(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a RunnerScaleSet that a client may set, checked."""
    fields: dict[str, Any] = {}
    for key, name, kind in (
        ("name", "name", str),
        ("runnerGroupId", "group_id", int),
        ("labels", "labels", list),
        ("RunnerSetting", "setting", dict),
        ("runnerSetting", "setting", dict),
        ("enabled", "enabled", bool),
    ):
        value = body.get(key)
        if value is None:
            continue
        if type(value) is not kind:
            raise errors.bad_request(f"{key} must be of type {kind.__name__}.")
        fields[name] = value
    for label in fields.get("labels", []):
        if not isinstance(label, dict) or not isinstance(label.get("name"), str):
            raise errors.bad_request("Every label needs a name.")
    if not fields.get("group_id", 1):
        fields["group_id"] = 1
    return fields
