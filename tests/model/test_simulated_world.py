"""Plan, life cycle and demand together, over a world that crashes, forgets and answers late.

The world is what is really there; the rows are what the core believes. Whatever happens, no rule is
broken on the way; and once nobody asks for anything, nothing is left of either.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from scaler.model.demand import Demand, report, settle
from scaler.model.lifecycle import advance
from scaler.model.moves import stopped
from scaler.model.names import runner_name
from scaler.model.plan import Plan, Situation, plan
from scaler.model.row import (
    Destroyed,
    Fact,
    JobDone,
    JobStarted,
    Provisioned,
    Refused,
    Registered,
    Retire,
    Row,
    Seen,
    Tick,
    Unlisted,
    Unregistered,
    Unseen,
)
from scaler.records import Machine, Profile, Registration, Room, Runner, RunnerState
from scaler.units import Secret

WALK = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", settings().max_examples)),
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
PROFILES = {
    "linux": Profile(
        name="linux", max_count=4, resources={"memory": 2}, source="q", provisioners=("v",)
    ),
    "large": Profile(
        name="large",
        max_count=2,
        resources={"memory": 4},
        source="q",
        provisioners=("v",),
        hold_failed=60.0,
    ),
}
ROOMS = (Room(name="a", total={"memory": 6}), Room(name="b", total={"memory": 4}))
ROOM = {room.name: room.total["memory"] for room in ROOMS}


@dataclass
class Agent:
    """A runner as the other side has it."""

    online: bool = False
    busy: bool = False


@dataclass
class World:
    now: float = 1000.0
    next_id: int = 1
    rows: dict[int, Row] = field(default_factory=dict)
    demand: dict[str, Demand] = field(default_factory=lambda: dict.fromkeys(PROFILES, Demand()))
    agents: dict[int, Agent] = field(default_factory=dict)
    machines: dict[int, Machine] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)

    # -- the core's part, as its engine does it

    def apply(self, number: int, fact: Fact) -> Row:
        row = self.rows[number] = advance(self.rows[number], fact, self.now)
        return row

    def plan(self) -> Plan:
        return plan(
            Situation(
                profiles=PROFILES,
                rows=self.rows.values(),
                demand=self.demand,
                committed={},
                offered={},
                rooms={"v": ROOMS},
                backoff={},
                now=self.now,
            )
        )

    def reconcile(self, chance: random.Random) -> Plan:
        for name, demand in self.demand.items():
            self.demand[name] = settle(demand, self.now)
        for number, row in list(self.rows.items()):
            self.apply(number, Tick(PROFILES[row.runner.profile]))
        now = self.plan()
        for make in now.make:
            self._make(make.profile, make.room, chance)
        for number in now.retire:
            row = self.rows[number]
            assert row.runner.state not in (RunnerState.BUSY, RunnerState.RESERVED)
            self.apply(number, Retire("surplus"))
        return now

    def _make(self, profile: str, room: str, chance: random.Random) -> None:
        number, self.next_id = self.next_id, self.next_id + 1
        assert number not in self.made
        self.made.add(number)
        runner = Runner(
            id=number,
            name=runner_name(profile, number, "host"),
            profile=profile,
            state=RunnerState.PLANNED,
            room=room,
            provisioner="v",
            source="q",
            resources=PROFILES[profile].resources,
        )
        hold = PROFILES[profile].hold_failed
        row = Row(runner=runner, born=self.now, entered=self.now, told=self.now, hold=hold)
        self.rows[number] = row
        fate = chance.choice(["well"] * 5 + ["no agent", "agent, no answer", "no machine", "late"])
        if fate != "no agent":
            self.agents[number] = Agent()
        if fate in ("no agent", "agent, no answer"):
            self.apply(number, Retire("register_runner failed"))
            return
        issued = Registration(name=runner.name, ref=str(number), config=Secret("x" * 9))
        self.apply(number, Registered(issued))
        machine = Machine(runner=number, id=f"m{number}", room=room, runner_name=runner.name)
        if fate != "no machine":
            self.machines[number] = machine
        if fate == "well":
            self.apply(number, Provisioned(machine))
        else:
            self.apply(number, Retire("provision_runner failed"))

    def clean(self, chance: random.Random | None) -> None:
        """One try to unregister and destroy everything that retires; some of it fails."""
        for number, row in list(self.rows.items()):
            if row.runner.state is RunnerState.RETIRING and not row.unregistered:
                if chance and chance.random() < 0.3:
                    continue
                agent = self.agents.get(number)
                if agent is None or not agent.busy:
                    self.agents.pop(number, None)
                    row = self.apply(number, Unregistered())
                else:
                    row = self.apply(number, Refused())
            if row.runner.state is RunnerState.RETIRING and not row.destroyed:
                if chance and chance.random() < 0.3:
                    continue
                self._destroy(number, row)
            if self.rows[number].runner.state is RunnerState.GONE:
                del self.rows[number]

    def _destroy(self, number: int, row: Row) -> None:
        agent, machine = self.agents.get(number), self.machines.pop(number, None)
        if agent is not None and agent.busy:  # its work is over only where its machine is
            assert stopped(row) or row.forced
            assert machine is None or machine.state == "stopped" or row.forced
        self.apply(number, Destroyed())

    def look(self) -> None:
        """Complete lists of everything."""
        for number, row in list(self.rows.items()):
            agent, machine = self.agents.get(number), self.machines.get(number)
            if agent is None:
                self.apply(number, Unlisted())
            else:
                found = Registration(name=row.runner.name, online=agent.online, busy=agent.busy)
                self.apply(number, Seen(found, listed=True))
            self.apply(number, Unseen() if machine is None else Provisioned(machine, listed=True))

    # -- the world's part

    def boot(self, chance: random.Random) -> None:
        for number, machine in self.machines.items():
            agent = self.agents.get(number)
            if agent and machine.state == "running" and not agent.online and chance.random() < 0.7:
                agent.online = True

    def start_job(self, chance: random.Random) -> None:
        ready = [n for n, agent in self.agents.items() if agent.online and not agent.busy]
        if ready:
            number = chance.choice(ready)
            self.agents[number].busy = True
            if number in self.rows and chance.random() < 0.5:
                self.apply(number, JobStarted(f"j{number}"))

    def end_job(self, chance: random.Random, number: int | None = None) -> None:
        working = [n for n, agent in self.agents.items() if agent.busy]
        if not working:
            return
        number = chance.choice(working) if number is None else number
        early = chance.random() < 0.2  # C19: completed, while the runner works on
        if number in self.rows and chance.random() < 0.5:
            self.apply(number, JobDone(f"j{number}", chance.choice(["succeeded", "failed"])))
        if not early:
            del self.agents[number]
            if number in self.machines:
                self.machines[number] = replace(self.machines[number], state="stopped")

    def kill(self, chance: random.Random) -> None:
        if self.machines:
            number = chance.choice(sorted(self.machines))
            self.machines[number] = replace(self.machines[number], state="stopped", why="killed")
            self.agents.get(number, Agent()).online = False
            if number in self.rows and chance.random() < 0.5:
                self.apply(number, Provisioned(self.machines[number]))

    def forget_machine(self, chance: random.Random) -> None:
        if self.machines:
            del self.machines[chance.choice(sorted(self.machines))]

    # -- what must always hold

    def check(self, now: Plan) -> None:
        used = dict.fromkeys(ROOM, 0)
        for row in self.rows.values():
            if not row.destroyed:
                used[row.runner.room] += row.runner.resources["memory"]
        for room, amount in used.items():
            assert amount <= ROOM[room]
        for name, profile in PROFILES.items():
            # I2: never more machines than max_count; what has no row any more has no machine
            rows = [row for row in self.rows.values() if row.runner.profile == name]
            assert len(rows) <= profile.max_count
            assert 0 <= now.ceilings[name] <= profile.max_count
        assert set(self.machines) <= set(self.rows)
        assert set(self.agents) <= set(self.rows)


OPS = ["plan", "clean", "look", "boot", "start", "end", "kill", "forget", "more", "less", "wait"]


@WALK
@given(st.lists(st.sampled_from(OPS), min_size=20, max_size=80), st.integers(0, 2**32))
def test_whatever_happens_the_rules_hold_and_nothing_is_left(ops: list[str], seed: int) -> None:
    world, chance = World(), random.Random(seed)
    for name in PROFILES:
        world.demand[name] = report(world.demand[name], chance.randint(0, 4), None, world.now)
    for op in ops:
        match op:
            case "clean":
                world.clean(chance)
            case "look":
                world.look()
            case "boot":
                world.boot(chance)
            case "start":
                world.start_job(chance)
            case "end":
                world.end_job(chance)
            case "kill":
                world.kill(chance)
            case "forget":
                world.forget_machine(chance)
            case "more" | "less":
                name = chance.choice(sorted(PROFILES))
                owed = chance.randint(1, 5) if op == "more" else 0
                world.demand[name] = report(world.demand[name], owed, None, world.now)
            case "wait":
                world.now += chance.choice([1.0, 29.0, 31.0, 130.0])
        world.check(world.reconcile(chance))
    event(f"made {min(len(world.made) // 5 * 5, 20)} or more")

    # nobody asks for anything any more, and the world is well again
    for name in PROFILES:
        world.demand[name] = report(world.demand[name], 0, None, world.now)
    for _ in range(12):
        world.now += 31
        for number in [n for n, agent in world.agents.items() if agent.busy]:
            world.end_job(chance, number)
        world.look()
        world.check(world.reconcile(chance))
        world.clean(None)
    assert world.rows == {}
    assert world.machines == {}
    assert world.agents == {}
    done = world.plan()
    assert (done.make, done.retire) == ((), ())
    assert done.ceilings["linux"] >= 1
