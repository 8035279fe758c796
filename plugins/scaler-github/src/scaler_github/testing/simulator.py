"""The simulator of GitHub that tests, demonstrations and other clients' suites talk to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from scaler_github.testing import messages, rights
from scaler_github.testing.actions import ActionsService
from scaler_github.testing.artifacts import Shelf
from scaler_github.testing.control import Control
from scaler_github.testing.doors import Doors
from scaler_github.testing.faults import Faults
from scaler_github.testing.front import Front
from scaler_github.testing.history import History
from scaler_github.testing.http import Server
from scaler_github.testing.options import Flow, Options
from scaler_github.testing.queue import QueueService
from scaler_github.testing.rest import RestService
from scaler_github.testing.rest_apps import RestApps
from scaler_github.testing.rest_artifacts import RestArtifacts
from scaler_github.testing.rest_runners import RestRunners
from scaler_github.testing.site import Site
from scaler_github.testing.state import World
from scaler_github.testing.tokens import DEFAULT_TOKEN, Lifetimes, TokenStore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from scaler_github.testing.guests import Guests
    from scaler_github.testing.records import Agent, Job, Message, ScaleSet, Session

T = TypeVar("T")


class Simulator(Doors, Shelf):
    """GitHub's REST API and Actions service on one local port, and a hand on both.

    Use it inside trio, from one thread::

        sim = Simulator(flow="assigned")
        async with trio.open_nursery() as nursery:
            await nursery.start(sim.serve)
            ...  # a client is given sim.url and sim.token
            sim.queue_jobs("linux", 3)
            await sim.wait_for(lambda: len(sim.jobs_in("assigned")) == 3)

    Args:
        scope: `ORG`, `OWNER/REPO` or `enterprises/NAME`; the path of `url`. More of them:
            `add_scope`.
        flow: `assigned` as github.com, `offered` as Enterprise Server.
        host, port: where to listen; port 0 takes a free one.
        guests: let runners come online and finish their jobs by themselves.
        lifetimes: how long tokens are good.
        tls: serve https with this context.
        options: further switches by name, see `Options`; they can also be changed later
            in `sim.options`.

    Attributes:
        options: `Options`, changed at will.
        delays: seconds added to every call of a route, by its short name.
        faults: `Faults`: `sim.faults.add("poll", times=3, status=500)`.
        history: `History` of the requests that came.
        rate: the hourly budget of `token`; others: `rate_of`.
        token: a personal access token that may manage runners.
    """

    def __init__(
        self,
        *,
        scope: str = "acme",
        flow: Flow = "assigned",
        host: str = "127.0.0.1",
        port: int = 0,
        guests: Guests | None = None,
        lifetimes: Lifetimes | None = None,
        tls: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        self.options = Options(flow=flow, **options)
        self._world = World(scope.strip("/"), self.options)
        self._tokens = TokenStore(self._world.now, lifetimes or Lifetimes())
        self._site = Site(self._world, self._tokens)
        self.token = self.add_token(DEFAULT_TOKEN, rights.of_scope(scope))
        self.delays: dict[str, float] = {}
        self.history = History()
        self.faults = Faults(self._world.now, lambda: self._front.names)
        rest = RestService(self._site)
        RestApps(self._site, rest)
        RestRunners(self._site, rest)
        blobs = RestArtifacts(self._site, rest).blobs
        self._front = Front(
            self._site,
            rest.routes,
            ActionsService(self._site).routes,
            QueueService(self._site).routes,
            blobs,
            self.faults,
            self.history,
            self.delays,
        )
        self._front.control = Control(self).handle
        self._server = Server(self._front.handle, self._world.now, tls)
        self._blobs = Server(self._front.handle, self._world.now, tls)
        self._scheme = "http" if tls is None else "https"
        self._host, self._port = host, port
        if guests is not None:
            guests.attend(self._world)

    # Serving

    async def serve(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `started` gives the config URL, once clients can connect.

        Raises:
            OSError: the address cannot be used.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._world.timers.run)
            port = await nursery.start(partial(self._server.serve, self._host, self._port))
            name = f"[{self._host}]" if ":" in self._host else self._host
            self._site.origin = f"{self._scheme}://{name}:{port}"
            other = await nursery.start(partial(self._blobs.serve, self._host, 0))
            self._site.blob_origin = f"{self._scheme}://{name}:{other}"
            task_status.started(self.url)

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`; empty before `serve` has started."""
        return self._site.origin

    @property
    def url(self) -> str:
        """The config URL that a client is given."""
        return f"{self.origin}/{self._world.scope}"

    @property
    def rest_url(self) -> str:
        """Base of the REST API, as on Enterprise Server; no slash at its end."""
        return self._site.rest_url

    @property
    def service_url(self) -> str:
        """Base of the Actions service, which clients must learn from runner-registration."""
        return self._site.service_url

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._server.connections

    def drop_connections(self, spare: int | None = None) -> int:
        """Close every connection at once, but for number `spare`; returns how many."""
        return self._server.drop_connections(spare)

    # Jobs

    @property
    def jobs(self) -> list[Job]:
        """All jobs ever queued, oldest first."""
        return list(self._world.flow.jobs.values())

    def jobs_in(self, *states: str) -> list[Job]:
        """The jobs in these states: queued, offered, acquired, assigned, running, completed."""
        return [job for job in self._world.flow.jobs.values() if job.state in states]

    def job(self, number: int) -> Job:
        """The job of this request id; raises `LookupError`."""
        try:
            return self._world.flow.jobs[number]
        except KeyError:
            raise LookupError(f"no job {number}") from None

    def queue_jobs(
        self,
        scale_set: str | None = None,
        count: int = 1,
        *,
        labels: Sequence[str] = (),
        repository: str | None = None,
        event: str = "push",
        workflow: str = "ci.yml",
        display_name: str = "build",
        run_time: float | None = None,
    ) -> list[Job]:
        """Queue the jobs of one workflow run.

        Args:
            scale_set: the name of the scale set they ask for; it may be made later.
            labels: or labels: whatever has all of them will do, a scale set or a runner
                that was registered by REST.
            repository: `OWNER/NAME`; default: one of this simulator's scope.
            run_time: seconds from start to success; `None` waits for `finish_job`
                (or for the guests' `work`).

        Raises:
            ValueError: neither or both of `scale_set` and `labels`.
        """
        if (scale_set is None) == (not labels):
            raise ValueError("a job asks for a scale set or for labels")
        if repository is None:
            repository = self._repository()
        return self._world.flow.queue(
            scale_set,
            count,
            labels,
            repository,
            event=event,
            workflow=workflow,
            display_name=display_name,
            run_time=run_time,
        )

    def _repository(self) -> str:
        scope = self._world.scope
        if scope.startswith("enterprises/"):
            return "acme/widgets"
        return scope if "/" in scope else f"{scope}/widgets"

    def finish_job(self, job: Job | int, result: str = "succeeded") -> None:
        """End a job: `succeeded`, `failed`, `canceled`; its runner's registration ends too."""
        self._world.flow.finish(self.job(job) if isinstance(job, int) else job, result)

    def cancel_job(self, job: Job | int) -> None:
        """End a job as a person does who cancels its run; fine in every state."""
        self.finish_job(job, "canceled")

    # Runners

    @property
    def agents(self) -> list[Agent]:
        """All registered runners, oldest first."""
        return list(self._world.agents.values())

    def agent(self, name: str) -> Agent:
        """The runner of this name; raises `LookupError`."""
        agent = self._world.agent_named(name)
        if agent is None:
            raise LookupError(f"no runner {name!r} is registered")
        return agent

    def bring_online(self, name: str, *, outdated: bool = False) -> Agent:
        """Start a runner; it takes a job that waits, or waits for one.

        Args:
            outdated: GitHub refuses it as too old: it exits without a job, and its
                registration stays, offline. See also `Options.outdated`.

        Raises:
            LookupError: no such registration.
            ValueError: its JIT configuration was used before.
        """
        agent = self.agent(name)
        self._world.bring_online(agent, outdated=outdated)
        return agent

    def take_offline(self, name: str) -> None:
        """Let a runner die; a job that it has goes on until `finish_job`."""
        self._world.bring_offline(self.agent(name))

    def remove_agent(self, name: str) -> None:
        """End a registration as GitHub does by itself, unasked."""
        self._world.forget_agent(self.agent(name))

    # Scale sets and their queues

    @property
    def scale_sets(self) -> list[ScaleSet]:
        """All scale sets, of every scope, oldest first."""
        return list(self._world.scale_sets.values())

    def scale_set(self, name: str) -> ScaleSet:
        """The first scale set of this name; raises `LookupError`."""
        for one in self._world.scale_sets.values():
            if one.name.lower() == name.lower():
                return one
        raise LookupError(f"no scale set {name!r}")

    def create_scale_set(
        self, name: str, labels: Sequence[str] = (), *, group_id: int = 1, scope: str | None = None
    ) -> ScaleSet:
        """Make a scale set as if another client had; raises `Refusal` if it exists."""
        rows = [{"name": label, "type": "System"} for label in labels]
        fields = {"name": name, "group_id": group_id, "labels": rows, "setting": {}}
        return self._world.create_scale_set(scope or self._world.scope, {**fields, "enabled": True})

    def delete_scale_set(self, name: str) -> None:
        """Let a scale set vanish; busy runners go on, waiting jobs return to the queue."""
        self._world.delete_scale_set(self.scale_set(name), force=True)

    def hold_session(self, name: str, owner: str = "rival") -> Session:
        """Take the session of a scale set, as a rival would, in place of whoever has it."""
        one = self.scale_set(name)
        if one.session is not None:
            self._world.end_session(one)
        return self._world.open_session(one, owner)

    def end_session(self, name: str) -> None:
        """Let the session of a scale set vanish, whoever has it."""
        self._world.end_session(self.scale_set(name))

    def redeliver(self, name: str, message_id: int | None = None) -> int:
        """Deliver a message again, below the cursor too; `None`: the newest. Returns its id."""
        return messages.redeliver(self.scale_set(name), message_id)

    def inject_message(
        self,
        name: str,
        jobs: Sequence[dict[str, Any]] = (),
        *,
        raw_body: str | None = None,
        statistics: dict[str, int] | None = None,
        kind: str = "RunnerScaleSetJobMessages",
    ) -> Message:
        """Queue a message of your own making.

        Args:
            jobs: the job messages; or
            raw_body: the body as it is.
            statistics: instead of the real ones.
            kind: its messageType.
        """
        return messages.inject(
            self.scale_set(name),
            self._world.message_ids,
            list(jobs),
            raw_body=raw_body,
            statistics=statistics,
            kind=kind,
        )

    def renumber_messages(self, first: int) -> None:
        """Let message ids go on from `first`, lower or higher than before."""
        self._world.message_ids.restart(first)

    # Watching

    @property
    def now(self) -> float:
        """The simulator's time, in seconds since the epoch; it moves with trio's clock."""
        return self._world.now()

    def count(self, route: str) -> int:
        """How many requests of a route came; `ValueError` if there is no such route."""
        if route not in self._front.names and route != "unknown":
            raise ValueError(f"no route {route!r}; known: {', '.join(sorted(self._front.names))}")
        return self.history.counts[route]

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Wait until `predicate` is true; it is asked whenever something changed.

        Args:
            timeout: seconds.

        Raises:
            TimeoutError: it was not true in time.
        """
        with trio.move_on_after(timeout):
            while not (value := predicate()):
                await self._world.changed.wait()
            return value
        raise TimeoutError(f"not true within {timeout} s: {predicate!r}")
