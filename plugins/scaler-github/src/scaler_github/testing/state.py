"""The simulated world: scopes, scale sets, sessions and agents. No sockets here.

Everything happens at once and in order: nothing in this file waits, so a request sees the
world either before or after another one, never in between.
"""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from scaler_github.testing import errors, messages
from scaler_github.testing.jobs import JobFlow
from scaler_github.testing.messages import MessageIds
from scaler_github.testing.records import Agent, Job, ScaleSet, Session
from scaler_github.testing.timing import Bell, Clock, Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scaler_github.testing.options import Options


class World:
    """All that GitHub would know."""

    def __init__(self, scope: str, options: Options) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.changed = Bell()
        self.options = options
        #: The scope that the simulator was made for; `scopes` holds all that exist.
        self.scope = scope
        self.scopes: list[str] = [scope]
        self.groups: dict[int, str] = {1: "Default"}
        #: Groups that no runner may be registered in, and the status that says so.
        self.closed_groups: dict[int, int] = {}
        self.scale_sets: dict[int, ScaleSet] = {}
        self.agents: dict[int, Agent] = {}
        self.idle_rest_agents: dict[str, Agent] = {}
        self.message_ids = MessageIds()
        self.flow = JobFlow(self)
        self.acquire_url: Callable[[ScaleSet], str] = lambda one: f"acquire/{one.id}"
        self.run_time: Callable[[Job], float | None] = lambda job: job.run_time
        self.on_agent: Callable[[Agent], object] = lambda agent: None
        self._by_name: dict[tuple[str, str], Agent] = {}
        self._set_ids = itertools.count(7)
        self._agent_ids = itertools.count(901)

    def now(self) -> float:
        """GitHub's time, in seconds since the epoch."""
        return self.clock.now() + self.options.clock_offset

    # Scopes and groups

    def find_scope(self, scope: str) -> str | None:
        """The canonical name of an organisation, a repository or an enterprise.

        Names are compared without case; every repository of an organisation that exists
        does. `None` if there is no such scope.
        """
        wanted = scope.lower()
        for name in self.scopes:
            if name.lower() == wanted:
                return name
        owner, _, repo = scope.partition("/")
        if repo and "/" not in repo and any(name.lower() == owner.lower() for name in self.scopes):
            self.scopes.append(scope)
            return scope
        return None

    def has_owner(self, owner: str) -> bool:
        """Whether an owner exists: as an organisation, or because a repository does."""
        return owner.lower() in {
            name.lower().partition("/")[0]
            for name in self.scopes
            if not name.startswith("enterprises/")
        }

    def add_group(self, name: str) -> int:
        """A runner group more; returns its id."""
        number = max(self.groups) + 1
        self.groups[number] = name
        return number

    # Scale sets

    def find_scale_sets(
        self, scope: str, name: str | None = None, group_id: int | None = None
    ) -> list[ScaleSet]:
        """The scale sets of a scope, narrowed by name (in any case) and group."""
        return [
            one
            for one in self.scale_sets.values()
            if one.scope == scope
            and (name is None or one.name.lower() == name.lower())
            and (group_id is None or one.group_id == group_id)
        ]

    def scale_set(self, scope: str, number: int) -> ScaleSet:
        """One scale set; raises `Refusal` 404."""
        one = self.scale_sets.get(number)
        if one is None or one.scope != scope:
            raise errors.no_scale_set(number)
        return one

    def create_scale_set(self, scope: str, fields: dict[str, Any]) -> ScaleSet:
        """A new scale set; raises `Refusal` 400 when name and group are taken."""
        name, group_id = fields["name"], fields["group_id"]
        self._check_free(scope, name, group_id, but=None)
        one = ScaleSet(
            id=next(self._set_ids),
            scope=scope,
            name=name,
            group_id=group_id,
            labels=self._labels(fields["labels"] or [{"name": name, "type": "System"}]),
            setting=fields["setting"],
            created=self.now(),
            enabled=fields["enabled"],
            bell=Bell(),
            news=deque(),
            again=deque(),
            acknowledged=messages.new_archive(),
        )
        self.scale_sets[one.id] = one
        self.flow.place(only=one)
        self.changed.ring()
        return one

    def update_scale_set(self, one: ScaleSet, fields: dict[str, Any]) -> None:
        """Change what `fields` names; raises `Refusal` 400 when the new name is taken."""
        name = fields.get("name", one.name)
        group_id = fields.get("group_id", one.group_id)
        self._check_free(one.scope, name, group_id, but=one)
        one.name, one.group_id = name, group_id
        if fields.get("labels"):
            one.labels = self._labels(fields["labels"])
        one.setting = {**one.setting, **fields.get("setting", {})}
        one.enabled = fields.get("enabled", one.enabled)
        self.flow.place(only=one)
        self.changed.ring()

    def _check_free(self, scope: str, name: str, group_id: int, but: ScaleSet | None) -> None:
        if group_id not in self.groups:
            raise errors.bad_request(f"No runner group found with identifier {group_id}.")
        if any(one is not but for one in self.find_scale_sets(scope, name, group_id)):
            raise errors.Refusal(
                400,
                "RunnerScaleSetExistsException",
                f"Runner scale set with name {name} already exists in the runner group.",
            )

    def _labels(self, labels: list[dict[str, str]]) -> list[dict[str, str]]:
        kept = labels[:1] if self.options.drops_labels else labels
        return [
            {"id": str(n), "name": label["name"], "type": label.get("type", "System")}
            for n, label in enumerate(kept, 1)
        ]

    def delete_scale_set(self, one: ScaleSet, *, force: bool = False) -> None:
        """Remove a scale set with its session and its runners that are not busy.

        Raises:
            Refusal: 400, a runner of it has a job and `force` is not given.
        """
        if one.running and not force:
            raise errors.Refusal(
                400,
                "RunnerScaleSetInUseException",
                f"Runner scale set {one.name} still has a job assigned to a runner.",
            )
        del self.scale_sets[one.id]
        self.end_session(one)
        self.flow.withdraw_from(one)
        for agent in list(one.agents.values()):
            if agent.job is None:
                self.forget_agent(agent)
        self.changed.ring()

    # Sessions

    def open_session(self, one: ScaleSet, owner: str) -> Session:
        """Take the queue of a scale set; raises `Refusal` 409 while somebody has it."""
        limit = self.options.session_timeout
        held = one.session
        if (
            held is not None
            and limit is not None
            and not held.waiting
            and self.now() - held.seen > limit
        ):
            self.end_session(one)
        if one.session is not None:
            raise errors.Refusal(
                409,
                "RunnerScaleSetSessionConflictException",
                f"The runner scale set {one.name} already has an active session "
                f"for owner {one.session.owner}.",
            )
        one.session = Session(str(uuid.uuid4()), owner, one.id, self.now())
        self.changed.ring()
        return one.session

    def session(self, one: ScaleSet, session_id: str) -> Session:
        """The session of a scale set, if it is this one; raises `Refusal` 404."""
        if one.session is None or one.session.id != session_id:
            raise errors.no_session(session_id)
        return one.session

    def session_by_id(self, session_id: str, scale_set_id: int) -> tuple[ScaleSet, Session]:
        """A queue token's session; raises `Refusal` 404 when it or its scale set is gone."""
        one = self.scale_sets.get(scale_set_id)
        if one is None:
            raise errors.no_scale_set(scale_set_id)
        return one, self.session(one, session_id)

    def end_session(self, one: ScaleSet) -> None:
        """Free the queue; nothing is assigned until somebody polls again."""
        one.session = None
        one.capacity = 0
        one.bell.ring()
        self.changed.ring()

    def advertise(self, one: ScaleSet, capacity: int | None) -> None:
        """A poll says how many runners the scale set may have in all."""
        one.capacity = capacity
        if one.room and self.options.flow == "assigned":
            self.flow.place(only=one)

    # Agents

    def create_agent(
        self,
        scope: str,
        name: str,
        one: ScaleSet | None,
        labels: Iterable[dict[str, Any]] = (),
        group_id: int = 1,
    ) -> Agent:
        """Register a runner; raises `Refusal` 409 when its name is taken in the scope."""
        if (scope, name.lower()) in self._by_name:
            raise errors.Refusal(
                409, "AgentExistsException", f"A runner exists with the same name {name}."
            )
        agent = Agent(
            id=next(self._agent_ids),
            name=name,
            scope=scope,
            scale_set_id=one.id if one else None,
            group_id=one.group_id if one else group_id,
            labels=[dict(label) for label in (one.labels if one else labels)],
            created=self.now(),
        )
        self.agents[agent.id] = agent
        self._by_name[scope, name.lower()] = agent
        if one is not None:
            one.agents[name] = agent
        self.on_agent(agent)
        if self.options.jit_timeout is not None:
            self.timers.after(self.options.jit_timeout, partial(self._evict, agent, used=False))
        self.changed.ring()
        return agent

    def _evict(self, agent: Agent, *, used: bool) -> None:
        known = self.agents.get(agent.id) is agent
        if known and agent.job is None and agent.used == agent.online == used:
            agent.online = False
            self.forget_agent(agent)

    def listed(self, agent: Agent) -> bool:
        """Whether lists show a runner already."""
        delay = self.options.list_delay
        return delay <= 0 or agent.created <= self.now() - delay

    def listed_agents(self, scope: str) -> list[Agent]:
        """The runners of a scope that lists show, oldest first."""
        return [one for one in self.agents.values() if one.scope == scope and self.listed(one)]

    def agent_named(self, name: str, scope: str | None = None) -> Agent | None:
        """The agent of this name, in one scope or in the first that has it."""
        for where in self.scopes if scope is None else [scope]:
            agent = self._by_name.get((where, name.lower()))
            if agent is not None:
                return agent
        return None

    def delete_agent(self, agent: Agent) -> None:
        """De-register on a client's wish; raises `Refusal` 400 while it runs a job."""
        if agent.job is not None:
            raise errors.Refusal(
                400,
                "JobStillRunningException",
                f"Runner {agent.name} is still running a job: {agent.job.display_name}.",
            )
        self.forget_agent(agent)

    def forget_agent(self, agent: Agent) -> None:
        """Its registration is gone, whatever it was doing."""
        self.agents.pop(agent.id, None)
        self._by_name.pop((agent.scope, agent.name.lower()), None)
        self._unlist(agent)
        one = self.scale_sets.get(agent.scale_set_id or 0)
        if one is not None:
            one.agents.pop(agent.name, None)
        self.changed.ring()

    def retire_agent(self, agent: Agent) -> None:
        """Its job has ended: it goes offline, and its registration follows."""
        agent.job = None
        agent.online = False
        agent.done = True
        self._unlist(agent)
        self.timers.after(self.options.vanish_delay, lambda: self.forget_agent(agent))

    def bring_online(self, agent: Agent, *, outdated: bool = False) -> None:
        """A runner process starts with its JIT configuration, which works once.

        One that is outdated is refused and exits; its registration stays as it was.

        Raises:
            ValueError: it was used before.
        """
        if agent.used:
            raise ValueError(f"the JIT configuration of {agent.name} was used before")
        if outdated or self.options.outdated:
            agent.refused += 1
            self.changed.ring()
            return
        agent.used = True
        agent.online = True
        self.flow.runner_ready(agent)
        if self.options.idle_timeout is not None:
            self.timers.after(self.options.idle_timeout, partial(self._evict, agent, used=True))
        self.changed.ring()

    def bring_offline(self, agent: Agent) -> None:
        """A runner process dies; a job that it has goes on until somebody ends it."""
        agent.online = False
        self._unlist(agent)
        self.changed.ring()

    def _unlist(self, agent: Agent) -> None:
        self.idle_rest_agents.pop(agent.name, None)
        one = self.scale_sets.get(agent.scale_set_id or 0)
        if one is not None:
            one.idle.pop(agent.name, None)
