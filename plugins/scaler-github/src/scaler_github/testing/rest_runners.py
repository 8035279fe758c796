"""Runners by the REST API: listed, registered one by one, labelled, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.testing import jit, listing, rights
from scaler_github.testing.errors import Refusal, RestRefusal
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.rest import SCOPES, RestService, rest_object

if TYPE_CHECKING:
    from scaler_github.testing.records import Agent
    from scaler_github.testing.site import Site
    from scaler_github.testing.tokens import Token


class RestRunners:
    """Handlers under `…/actions/runners`, added to the routes of a `RestService`."""

    def __init__(self, site: Site, rest: RestService) -> None:
        self._site = site
        self._world = site.world
        self._rest = rest
        for prefix in SCOPES:
            for name, method, path, handler in (
                ("rest-runners", "GET", "", self.list_page),
                ("rest-jitconfig", "POST", "/generate-jitconfig", self.jitconfig),
                ("rest-runner", "GET", "/{number}", self.get),
                ("rest-delete-runner", "DELETE", "/{number}", self.delete),
                ("rest-labels", "GET", "/{number}/labels", self.labels),
                ("rest-add-labels", "POST", "/{number}/labels", self.add_labels),
                ("rest-delete-labels", "DELETE", "/{number}/labels", self.clear_labels),
                ("rest-delete-label", "DELETE", "/{number}/labels/{label}", self.delete_label),
            ):
                path = f"{prefix}/actions/runners{path}"
                rest.routes.add(name, method, path, rest.guard(handler))
            if "{repo}" not in prefix:
                path = f"{prefix}/actions/runner-groups"
                rest.routes.add("rest-runner-groups", "GET", path, rest.guard(self.groups))

    def _scope(self, person: Token, parts: dict[str, str]) -> str:
        scope = self._rest.scope(parts)
        self._rest.require(person, scope)
        return scope

    def _agent(self, person: Token, parts: dict[str, str]) -> Agent:
        scope, number = self._scope(person, parts), parts["number"]
        short = number.isascii() and number.isdigit() and len(number) < 20
        agent = self._world.agents.get(int(number)) if short else None
        if agent is None or agent.scope != scope:
            raise RestRefusal(404, "Not Found")
        return agent

    def list_page(self, request: Request, person: Token, **parts: str) -> Response:
        """A page of the runners, narrowed by `name`; `Link` tells of the next page."""
        scope = self._scope(person, parts)
        name = request.query.get("name")
        found = [agent for agent in self._world.listed_agents(scope) if name in {None, agent.name}]
        return listing.page(self._site, request, "runners", [_runner(one) for one in found])

    def get(self, request: Request, person: Token, **parts: str) -> Response:
        """One runner."""
        return json_response(200, _runner(self._agent(person, parts)))

    def jitconfig(self, request: Request, person: Token, **parts: str) -> Response:
        """Register a runner with its own labels; 409 when its name is taken."""
        scope = self._scope(person, parts)
        body = rest_object(request)
        kinds = {"name": str, "runner_group_id": int, "labels": list}
        for key in kinds:
            if key not in body:
                raise RestRefusal(422, f"Invalid request.\n\nmissing required key: {key}")
        for key, kind in kinds.items():
            if type(body[key]) is not kind:
                raise RestRefusal(422, f"Invalid request.\n\n{key} is of a wrong type")
        labels = _labels(body["labels"])
        self._check_group(scope, body["runner_group_id"])
        try:
            agent = self._world.create_agent(
                scope, body["name"], None, labels, body["runner_group_id"]
            )
        except Refusal:
            raise RestRefusal(
                409, f"Already exists - A runner with the name *{body['name']}* exists."
            ) from None
        folder = str(body.get("work_folder") or "_work")
        encoded = jit.encode(agent, self._site.service_url, folder)
        return json_response(201, {"runner": _runner(agent), "encoded_jit_config": encoded})

    def _check_group(self, scope: str, group_id: int) -> None:
        """Repositories know no group but the default one."""
        known = group_id == 1 if rights.place(scope) == "repo" else group_id in self._world.groups
        status = self._world.closed_groups.get(group_id) if known else 404
        if status is not None:
            text = "Not Found" if status == 404 else "The runner group may not be used."
            raise RestRefusal(status, text)

    def delete(self, request: Request, person: Token, **parts: str) -> Response:
        """204; 404 when it is gone; 422 while it runs a job."""
        agent = self._agent(person, parts)
        try:
            self._world.delete_agent(agent)
        except Refusal:
            text = f"Bad request - Runner {agent.name!r} is still running a job."
            raise RestRefusal(422, text) from None
        return Response(204)

    def labels(self, request: Request, person: Token, **parts: str) -> Response:
        """The labels of a runner."""
        return _label_list(self._agent(person, parts))

    def add_labels(self, request: Request, person: Token, **parts: str) -> Response:
        """Add custom labels; those that it has already stay as they are.

        Not all or nothing: one label may fail (`Options.fail_labels`) when others are on.
        """
        agent = self._agent(person, parts)
        rows = _labels(rest_object(request).get("labels"))
        scripted = self._world.options.fail_labels
        bad = scripted.pop(0) if scripted else 0
        have = {label["name"].lower() for label in agent.labels}
        for label in rows[: max(0, bad - 1)] + rows[bad:]:
            if label["name"].lower() not in have:
                label["id"] = len(agent.labels) + 1
                agent.labels.append(label)
        self._relabelled(agent)
        if 0 < bad <= len(rows):
            raise RestRefusal(500, f"Failed to create label: {rows[bad - 1]['name']}")
        return _label_list(agent)

    def delete_label(self, request: Request, person: Token, **parts: str) -> Response:
        """Remove one custom label; 404 when the runner does not have it."""
        agent = self._agent(person, parts)
        kept = [one for one in agent.labels if one["name"].lower() != parts["label"].lower()]
        if len(kept) == len(agent.labels):
            raise RestRefusal(404, "Not Found")
        agent.labels = kept
        self._relabelled(agent)
        return _label_list(agent)

    def clear_labels(self, request: Request, person: Token, **parts: str) -> Response:
        """Remove all custom labels."""
        agent = self._agent(person, parts)
        agent.labels = [one for one in agent.labels if one["type"] != "custom"]
        self._relabelled(agent)
        return _label_list(agent)

    def _relabelled(self, agent: Agent) -> None:
        if agent.name in self._world.idle_rest_agents:
            self._world.flow.place()
        self._world.changed.ring()

    def groups(self, request: Request, person: Token, **parts: str) -> Response:
        """The runner groups of an organisation or an enterprise."""
        self._scope(person, parts)
        rows = [
            {
                "id": key,
                "name": name,
                "default": key == 1,
                "visibility": "all",
                "inherited": False,
                "allows_public_repositories": False,
            }
            for key, name in self._world.groups.items()
        ]
        return listing.page(self._site, request, "runner_groups", rows)


def _labels(value: object) -> list[dict[str, Any]]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= 100
        or not all(isinstance(name, str) and 0 < len(name) <= 256 for name in value)
    ):
        raise RestRefusal(422, "Invalid request.\n\nlabels must be 1 to 100 names")
    return [{"id": n, "name": name, "type": "custom"} for n, name in enumerate(value, 1)]


def _label_list(agent: Agent) -> Response:
    return json_response(200, {"total_count": len(agent.labels), "labels": agent.labels})


def _runner(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id,
        "name": agent.name,
        "os": "linux",
        "status": agent.status,
        "busy": agent.busy,
        "labels": [
            {**label, "type": "custom" if label.get("type") == "custom" else "read-only"}
            for label in agent.labels
        ],
        "runner_group_id": agent.group_id,
        "ephemeral": True,
        "version": "2.335.0",
    }
