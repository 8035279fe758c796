"""What must hold, whoever is killed when. Pure: told what happens, it says what was wrong."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaler_libvirt.machine.identity import Identity


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job, as the source tells it."""

    job: str
    state: str
    result: str | None


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is there at the end; each should be empty.

    Attributes:
        sessions: Empty only after a clean stop.
    """

    domains: Iterable[str] = ()
    registrations: Iterable[str] = ()
    rows: Iterable[str] = ()
    sessions: Iterable[str] = ()


@dataclass
class Oracles:
    """The history of one world, and what in it must not have been.

    Attributes:
        wrong: Every violation, in words.
        story: Everything that was told, in order, with the time since the start.
    """

    wrong: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _issued: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _given: dict[str, str] = field(default_factory=dict)  # a config's digest: the domain with it
    _live: dict[str, Identity] = field(default_factory=dict)
    _on: dict[str, str] = field(default_factory=dict)  # a domain: the job that runs there
    _starts: Counter[str] = field(default_factory=Counter)

    def tell(self, text: str) -> None:
        """Something happened that is worth reading afterwards."""
        self.story.append(f"{time.monotonic() - self._began:8.3f}  {text}")

    def blame(self, text: str) -> None:
        """Something must not have happened."""
        self.tell(f"WRONG: {text}")
        self.wrong.append(text)

    # --- what happens

    def issued(self, runner_name: str, digest: str) -> None:
        """The source registered a runner and issued a config."""
        self.tell(f"{runner_name} is registered, config {digest[:8]}")
        self._issued[runner_name].append(digest)

    def domain_started(self, uuid: str, identity: Identity) -> None:
        """A machine exists."""
        name, digest = identity.runner_name, identity.config_sha256
        self.tell(f"{name}: domain {uuid[:8]} starts, config {digest[:8]}")
        for other, its in self._live.items():
            if (its.scaler, its.runner) == (identity.scaler, identity.runner):
                self.blame(f"{name} has two live domains: {other} and {uuid}")
        if self._issued[name][-1:] != [digest]:
            self.blame(f"domain {uuid} has a config that was not issued to {name}")
        if self._given.setdefault(digest, uuid) != uuid:
            self.blame(f"the config of {name} was given to two domains")
        self._live[uuid] = identity

    def domain_stopped(self, uuid: str, why: str) -> None:
        """A machine is no more."""
        identity = self._live.pop(uuid, None)
        if identity is None:
            return
        self.tell(f"{identity.runner_name}: domain {uuid[:8]} ends: {why}")
        if job := self._on.get(uuid):
            self.blame(f"domain {uuid} of {identity.runner_name} ended under job {job}: {why}")

    def job_started(self, job: str, runner_name: str) -> str | None:
        """A runner took a job; the domain that it runs in."""
        self._starts[job] += 1
        self.tell(f"job {job} starts on {runner_name}")
        if self._starts[job] > 1:
            self.blame(f"job {job} was started {self._starts[job]} times")
        uuids = [uuid for uuid, its in self._live.items() if its.runner_name == runner_name]
        if not uuids:
            self.blame(f"job {job} runs on {runner_name}, which has no domain")
            return None
        self._on[uuids[0]] = job
        return uuids[0]

    def job_ended(self, job: str, uuid: str | None) -> None:
        """Its runner is about to tell the source that it is done."""
        self.tell(f"job {job} ends")
        if uuid is not None:
            if uuid not in self._live:
                self.blame(f"job {job} ended, and domain {uuid} under it had gone before")
            self._on.pop(uuid, None)

    # --- the end

    def judge_jobs(self, outcomes: Iterable[Outcome]) -> None:
        """Every job ran exactly once and succeeded."""
        for each in outcomes:
            starts = self._starts[each.job]
            if (each.state, each.result, starts) != ("completed", "succeeded", 1):
                self.blame(
                    f"job {each.job} is {each.state}, result {each.result}, started {starts} times"
                )

    def judge_end(self, left: Left) -> None:
        """Nothing is left, anywhere."""
        for what, names in vars_of(left).items():
            if names:
                self.blame(f"{what} are left: {', '.join(names)}")


def vars_of(left: Left) -> Mapping[str, list[str]]:
    """What is left, by what it is."""
    return {
        "domains": sorted(left.domains),
        "registrations": sorted(left.registrations),
        "rows of the ledger": sorted(left.rows),
        "sessions": sorted(left.sessions),
    }
