"""The simulator's own interface under `/_control/`: JSON in, JSON out, no credentials.

Bodies are JSON objects whose keys are the arguments of the `Simulator` method of that
name. Answers: 200 with an object, 400 for what makes no sense, 404 for what is not there,
409 for what cannot be done now, each error as `{"error": text}`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.testing import jit
from scaler_github.testing.errors import Refusal
from scaler_github.testing.front import CONTROL
from scaler_github.testing.http import Request, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_github.testing.faults import Fault
    from scaler_github.testing.records import Agent, Job, ScaleSet
    from scaler_github.testing.simulator import Simulator


class Control:
    """Handlers of the control interface."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._calls: dict[tuple[str, str], Callable[..., Any]] = {
            ("GET", "world"): self.world,
            ("GET", "history"): self.history,
            ("GET", "faults"): lambda: [_fault(fault) for fault in sim.faults.pending],
            ("POST", "jobs"): self.queue,
            ("POST", "jobs/finish"): self.finish,
            ("POST", "runs/add"): lambda **fields: asdict(sim.add_run(**fields)),
            ("POST", "artifacts/add"): self.artifact,
            ("POST", "artifacts/remove"): sim.remove_artifact,
            ("POST", "jobs/cancel"): lambda job: self.finish(job, "canceled"),
            ("POST", "runners/online"): self.online,
            ("POST", "runners/offline"): sim.take_offline,
            ("POST", "runners/remove"): sim.remove_agent,
            ("POST", "tokens/expire"): sim.expire_tokens,
            ("POST", "tokens/add"): sim.add_token,
            ("POST", "tokens/revoke"): sim.revoke_token,
            ("POST", "scopes/add"): sim.add_scope,
            ("POST", "groups/add"): sim.add_runner_group,
            ("POST", "groups/close"): sim.close_runner_group,
            ("POST", "apps/add"): sim.add_app,
            ("POST", "apps/suspend"): sim.suspend_app,
            ("POST", "apps/remove"): sim.remove_app,
            ("POST", "sso/demand"): sim.demand_sso,
            ("POST", "sso/authorize"): sim.authorize_sso,
            ("GET", "rates"): lambda **fields: asdict(sim.rate_of(**fields)),
            ("POST", "rates/limit"): sim.limit_rate,
            ("POST", "rates/secondary"): sim.limit_secondarily,
            ("POST", "faults/add"): lambda **fields: _fault(sim.faults.add(**fields)),
            ("POST", "faults/clear"): sim.faults.clear,
            ("POST", "faults/outage"): sim.faults.outage,
            ("POST", "scale-sets/create"): lambda **fields: self._set(
                sim.create_scale_set(**fields)
            ),
            ("POST", "scale-sets/delete"): sim.delete_scale_set,
            ("POST", "sessions/hold"): lambda **fields: asdict(sim.hold_session(**fields)),
            ("POST", "sessions/end"): sim.end_session,
            ("POST", "messages/redeliver"): sim.redeliver,
            ("POST", "messages/inject"): lambda **fields: asdict(sim.inject_message(**fields)),
            ("POST", "messages/renumber"): sim.renumber_messages,
            ("POST", "history/clear"): sim.history.clear,
            ("POST", "options"): self.options,
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request; errors of the caller never reach the server."""
        name = request.path[len(CONTROL) :].strip("/")
        if (request.method, name) == ("POST", "connections/drop"):
            return json_response(200, {"result": self._sim.drop_connections(request.connection)})
        call = self._calls.get((request.method, name))
        if call is None:
            known = sorted(f"{method} {CONTROL}/{path}" for method, path in self._calls)
            return json_response(404, {"error": "no such call", "known": known})
        try:
            fields = dict(request.query) if request.method == "GET" else request.json() or {}
            if not isinstance(fields, dict):
                raise TypeError("the body must be a JSON object")
            result = call(**fields)
        except LookupError as exc:
            return json_response(404, {"error": str(exc)})
        except Refusal as exc:
            return json_response(exc.status, {"error": exc.message})
        except msgspec.DecodeError as exc:
            return json_response(400, {"error": str(exc)})
        except (TypeError, ValueError, AttributeError) as exc:
            return json_response(_status(exc), {"error": str(exc)})
        return json_response(200, result if isinstance(result, dict) else {"result": result})

    def queue(self, **fields: Any) -> dict[str, Any]:
        """Queue jobs; the answer lists them."""
        return {"jobs": [_job(job) for job in self._sim.queue_jobs(**fields)]}

    def artifact(self, **fields: Any) -> dict[str, Any]:
        """Make an artifact; the answer tells of it, but for what is in it."""
        made = self._sim.add_artifact(**fields)
        return {"id": made.id, "name": made.name, "run_id": made.run_id, "size": made.size}

    def finish(self, job: int, result: str = "succeeded") -> dict[str, Any]:
        """End the job of this request id."""
        self._sim.finish_job(job, result)
        return _job(self._sim.job(job))

    def online(
        self, name: str | None = None, jit_config: str | None = None, *, outdated: bool = False
    ) -> dict[str, Any]:
        """Start a runner, by its name or by its encoded JIT configuration."""
        if jit_config is not None:
            name = str(jit.decode(jit_config)["AgentName"])
        if name is None:
            raise TypeError("name or jit_config is needed")
        return _agent(self._sim.bring_online(name, outdated=outdated))

    def options(self, delays: dict[str, float] | None = None, **fields: Any) -> dict[str, Any]:
        """Change switches (see `Options`) and the delays of routes; the answer shows all."""
        self._sim.delays.update(delays or {})
        for name, value in fields.items():
            if not hasattr(self._sim.options, name):
                raise TypeError(f"no option {name!r}")
            setattr(self._sim.options, name, value)
        return {**asdict(self._sim.options), "delays": self._sim.delays}

    def world(self) -> dict[str, Any]:
        """Everything there is: scale sets with sessions, jobs with states and times, agents."""
        sim = self._sim
        return {
            "now": sim.now,
            "url": sim.url,
            "connections": sim.connections,
            "scale_sets": [self._set(one) for one in sim.scale_sets],
            "jobs": [_job(job) for job in sim.jobs],
            "agents": [_agent(agent) for agent in sim.agents],
        }

    def history(self, route: str | None = None, after: str = "0") -> dict[str, Any]:
        """The counters, and the requests above number `after`, perhaps of one route."""
        seen = [
            asdict(exchange)
            for exchange in self._sim.history.exchanges
            if exchange.number > int(after) and route in {None, exchange.route}
        ]
        return {"counts": dict(self._sim.history.counts), "exchanges": seen}

    def _set(self, one: ScaleSet) -> dict[str, Any]:
        return {
            "id": one.id,
            "name": one.name,
            "scope": one.scope,
            "group_id": one.group_id,
            "labels": [label["name"] for label in one.labels],
            "capacity": one.capacity,
            "session": asdict(one.session) if one.session else None,
            "statistics": one.statistics(),
            "news": len(one.news),
            "unacknowledged": list(one.unacknowledged),
        }


def _status(error: Exception) -> int:
    return 409 if isinstance(error, ValueError) and "used before" in str(error) else 400


def _job(job: Job) -> dict[str, Any]:
    return asdict(job)


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id,
        "name": agent.name,
        "scope": agent.scope,
        "scale_set_id": agent.scale_set_id,
        "status": agent.status,
        "busy": agent.busy,
        "used": agent.used,
        "refused": agent.refused,
        "labels": [label["name"] for label in agent.labels],
        "job": agent.job.request_id if agent.job else None,
        "created": agent.created,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    body = None if fault.body is None else fault.body.decode("utf-8", "replace")
    return {**asdict(fault), "body": body}
