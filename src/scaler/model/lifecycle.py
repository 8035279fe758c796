"""A runner's life: facts are folded into a row, and the row's state is derived from them.

Facts may come late, twice or in any order. See docs/explanation/core.md for the rules in words.
"""

from __future__ import annotations

import hashlib

from scaler.model.evolve import evolve
from scaler.model.holding import (
    FAILED,
    RESULT,
    awaits_result,
    judged,
    keepable,
    result_due,
    waiting,
)
from scaler.model.moves import enter, give_up, jobless, retire, settled, stopped, with_
from scaler.model.row import (
    LIVE,
    Destroyed,
    Fact,
    Fetched,
    JobDone,
    JobStarted,
    Provisioned,
    Refused,
    Registered,
    Removed,
    Reserve,
    Retire,
    Row,
    Seen,
    Tick,
    Unlisted,
    Unregistered,
    Unreserve,
    Unseen,
)
from scaler.records import Machine, Profile, Registration, Reservation, RunnerState

MISSING_FOR = 30.0  # seconds between the two complete lists that make something gone
YOUNG = 120.0  # seconds for which a row is never found gone: lists lag behind
ASK_AGAIN = 30.0  # seconds after Busy until the question is put again
FETCHED = 120.0  # seconds after its first fetch for which a config may be fetched again


def supplies(row: Row) -> bool:
    """Whether it runs a job or can still run one: done, stopped and retiring runners cannot."""
    return row.runner.state in LIVE and not row.done and row.ended is None


def came_to_nothing(before: Row, row: Row) -> bool:
    """Whether the runner has just been found to have failed, without ever having had a job."""
    return row.failed and not before.failed


def stopped_unused(before: Row, row: Row) -> bool:
    """Whether it was just found that its machine stopped early, without ever having had a job."""
    return came_to_nothing(before, row) and row.suspect and not row.steady


def is_suspect(before: Row, row: Row) -> bool:
    """Whether its machine has just stopped without a job that anybody told of."""
    return row.suspect and not before.suspect and not row.unregistered


def works(before: Row, row: Row) -> bool:
    """Whether it has just been found to have, or to have had, a job: starting works."""
    return (_busy(row) and not _busy(before)) or (row.served and not before.served)


def _busy(row: Row) -> bool:
    return row.runner.registration is not None and bool(row.runner.registration.busy)


def advance(row: Row, fact: Fact, now: float) -> Row:
    """The row after one more fact. The same row where the fact changes nothing."""
    if row.runner.state is RunnerState.GONE:
        return row
    after = _advanced(row, fact, now)
    return row if after is row else judged(after)


def _advanced(row: Row, fact: Fact, now: float) -> Row:
    match fact:
        case Registered() | JobStarted() | Refused() | Removed():
            row = evolve(row, told=now, unlisted=None)
        case Seen(listed=False):
            row = evolve(row, told=now, unlisted=None)
        case Provisioned(listed=False):
            row = evolve(row, told=now)
    match fact:
        case Registered(registration):
            if row.runner.state is not RunnerState.RETIRING:
                row = evolve(row, config=registration.config, digest=_digest(registration))
            busy = True if row.runner.job and not row.done else registration.busy
            row = with_(row, registration=evolve(registration, config=None, busy=busy))
            return settled(row, now)
        case Provisioned(machine, _):
            return _provisioned(row, machine, now)
        case Seen(registration, listed):
            return _seen(row, registration, listed, now)
        case Removed():
            return _removed(row, now)
        case Unlisted():
            return _unlisted(row, now)
        case Unseen():
            return _unseen(row, now)
        case JobStarted(job):
            return _job_started(row, job, now)
        case JobDone():
            return _job_done(row, fact, now)
        case Retire(reason, forced, failed):
            row = evolve(row, unmade=True) if failed else row
            return retire(row, reason, now, forced=forced)
        case Refused():
            return _refused(row, now)
        case Unregistered():
            failed = row.failed or (row.suspect and jobless(row))
            row = evolve(row, unregistered=True, config=None, failed=failed)
            return _cleaned(row, now)
        case Destroyed():
            return _cleaned(evolve(row, destroyed=True, config=None), now)
        case Reserve(reservation):
            if row.runner.state is not RunnerState.IDLE:
                return row
            return settled(with_(row, reservation=reservation), now, _promised(reservation))
        case Unreserve(reason):
            if row.runner.reservation is None:
                return row
            return settled(with_(row, reservation=None), now, reason)
        case Fetched():
            return row if row.fetched is not None else evolve(row, fetched=now)
        case Tick(profile):
            return _tick(_shut(row, now), profile, now)


def wakes(row: Row, profile: Profile | None) -> float | None:
    """When time alone may next change this row, or None."""
    times = []
    if profile is not None:
        times.append(row.born + row.lifetime(profile))
    if row.runner.state is RunnerState.HELD:
        times.append(row.entered + row.hold)
    if awaits_result(row):
        times.append(result_due(row))
    if row.config is not None and row.fetched is not None:
        times.append(row.fetched + FETCHED)
    if row.done and row.refused is not None and row.runner.state is RunnerState.BUSY:
        times.append(row.refused + ASK_AGAIN)
    return min(times, default=None)


def _without(row: Row, now: float) -> Row:
    """Its registration is gone; who idles for long loses it, and that is no failure."""
    return give_up(row, "its registration is gone", now, idle_too=False)


def _weighed(row: Row, now: float) -> Row:
    """Whether it had its job after all, though nobody told.

    Its machine stopped by itself, and the other side removed its registration: that is what is done
    with a runner whose one job is over. What was unregistered here says nothing, and neither does a
    machine that stops after that, since it is being destroyed.
    """
    if row.removed and stopped(row) and jobless(row) and not row.unregistered:
        return waiting(evolve(row, served=True, suspect=False, failed=False), now)
    return row


def _promised(reservation: Reservation) -> str:
    asks = f"{reservation.qualified_repo}, run {reservation.run_id}"
    return f"reserved for {reservation.unique_id} ({asks})"


def _shut(row: Row, now: float) -> Row:
    """Its config was fetched long enough ago: nobody may ask for it again."""
    if row.config is not None and row.fetched is not None and now - row.fetched >= FETCHED:
        return evolve(row, config=None)
    return row


def _digest(registration: Registration) -> str:
    if registration.config is None:
        return ""
    return hashlib.sha256(registration.config.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def _provisioned(row: Row, machine: Machine, now: float) -> Row:
    known = row.runner.machine
    if known is not None and known.id != machine.id and known.state == "running":
        return row  # it has its one machine; another goes when this runner is gone
    if row.digest and machine.digest and row.digest != machine.digest:
        if machine.state == "stopped" or row.runner.state is RunnerState.BUSY:
            return row
        return retire(row, "a machine by its name was made with another config", now)
    if known is not None and known.id == machine.id and known.state == "stopped":
        return row  # a machine that has stopped is never started again
    if known is not None and known.id != machine.id and machine.state == "stopped":
        return row  # the end of another machine by the same name
    row = evolve(row, unseen=None, ended=now if machine.state == "stopped" else None)
    if known != machine:
        row = with_(row, machine=machine)
    if machine.delivered and row.config is not None:
        row = evolve(row, config=None)
    if machine.state == "stopped" and row.runner.state is not RunnerState.HELD:
        if row.runner.state is RunnerState.BUSY and (patient := waiting(row, now)) is not row:
            return patient
        return _weighed(give_up(row, _stop(row), now), now)
    return settled(row, now, "its machine exists")


def _stop(row: Row) -> str:
    machine = row.runner.machine
    return f"its machine stopped: {(machine.why if machine else '') or 'no reason known'}"


def _patience(row: Row) -> float:
    """Seconds for which it is to be missing; a failed job's machine is kept, and news are slow."""
    return RESULT if row.hold and row.runner.state is RunnerState.BUSY else MISSING_FOR


def _over(row: Row) -> bool:
    """Whether its work is over: what becomes of the registration says nothing new."""
    return row.runner.state is RunnerState.HELD or awaits_result(row)


def _seen(row: Row, registration: Registration, listed: bool, now: float) -> Row:
    if _over(row):
        return row
    if registration.gone:
        return _without(row, now)
    before = row.runner.registration
    if before is None:
        if not listed or row.runner.state is RunnerState.PLANNED:
            return row  # register_runner is still under way and will answer
        before = registration
    if listed:
        row = _listed(row, now)
        if row.unlisted is not None:
            row = evolve(row, unlisted=None)
    busy = before.busy if registration.busy is None else registration.busy
    online = before.online if registration.online is None else registration.online
    if before.busy and registration.busy is False:
        # once busy, never free again: it ran its one job. Messages may be ahead of lists, so a
        # single look does not count.
        if row.idle_again is None:
            row = evolve(row, idle_again=now)
        elif now - row.idle_again >= _patience(row):
            return retire(row, "it is not busy any more", now)
        busy = True
    elif registration.busy and row.idle_again is not None:  # a new row is written again
        row = evolve(row, idle_again=None)
    if (
        row.runner.state in (RunnerState.IDLE, RunnerState.RESERVED)
        and registration.online is False
    ):
        if row.offline is None:
            row = evolve(row, offline=now)
        elif now - row.offline >= MISSING_FOR:
            return give_up(row, "it went offline", now)
    elif registration.online and row.offline is not None:
        row = evolve(row, offline=None)
    after = evolve(
        before, ref=registration.ref or before.ref, busy=busy, online=online, config=None
    )
    if after != before or row.runner.registration is None:
        row = with_(row, registration=after)
    return settled(row, now, "busy" if busy else "online" if online else "")


def _listed(row: Row, now: float) -> Row:
    """Note that a list told of it: only while it boots, since every change of a row is written."""
    return evolve(row, listed=now) if row.runner.state is RunnerState.BOOTING else row


def _unlisted(row: Row, now: float) -> Row:
    if row.runner.registration is None or _over(row):
        return row
    row = _listed(row, now)
    if row.unlisted is None:
        return evolve(row, unlisted=now)
    if now - row.unlisted >= _patience(row) and now - row.born >= YOUNG:
        return _without(row, now)
    return row


def _removed(row: Row, now: float) -> Row:
    if row.unregistered or _over(row):
        return row
    return _weighed(_without(evolve(row, removed=True), now), now)


def _unseen(row: Row, now: float) -> Row:
    machine = row.runner.machine
    if machine is None or machine.state == "stopped":
        return row
    if row.unseen is None:
        return evolve(row, unseen=now)
    if now - row.unseen >= MISSING_FOR and now - row.born >= YOUNG:
        return _provisioned(row, evolve(machine, state="stopped", why="it is gone"), now)
    return row


def _job_started(row: Row, job: str, now: float) -> Row:
    if row.suspect and not row.runner.job and job:
        row = waiting(with_(evolve(row, suspect=False, served=True), job=job), now)
    if row.runner.state is RunnerState.RETIRING or _over(row) or row.done:
        return row
    registration = row.runner.registration
    if registration is None:  # faster than the answer of register_runner, which is on its way
        return with_(row, job=job)
    row = with_(row, job=job, registration=evolve(registration, online=True, busy=True))
    return settled(evolve(row, idle_again=None), now, f"running job {job}")


def _job_done(row: Row, fact: JobDone, now: float) -> Row:
    keep = fact.result == FAILED and keepable(row, now)
    row = evolve(row, done=True, result=fact.result, suspect=False)
    if fact.job and row.runner.job != fact.job:
        row = with_(row, job=fact.job)
    reason = f"its job ended: {fact.result or 'no result known'}"
    if keep:
        return enter(evolve(row, config=None), RunnerState.HELD, reason, now)
    return retire(row, reason, now)


def _refused(row: Row, now: float) -> Row:
    if row.runner.state is not RunnerState.RETIRING:
        return row
    row = evolve(row, refused=now)
    if row.forced or stopped(row):  # its machine goes all the same
        if jobless(row):
            row = evolve(row, served=True, suspect=False, failed=False)
        return waiting(row, now)
    registration = row.runner.registration or Registration(name=row.runner.name)
    row = with_(row, registration=evolve(registration, online=True, busy=True))
    return enter(evolve(row, idle_again=None), RunnerState.BUSY, "it is still running a job", now)


def _cleaned(row: Row, now: float) -> Row:
    if row.unregistered and row.destroyed:
        return enter(row, RunnerState.GONE, row.runner.reason, now)
    return row


def _tick(row: Row, profile: Profile | None, now: float) -> Row:
    state = row.runner.state
    if profile is not None and profile.hold_failed != row.hold:
        row = evolve(row, hold=profile.hold_failed)
    if state is RunnerState.RETIRING:
        if profile is not None and now - row.born >= row.lifetime(profile):
            return retire(row, row.runner.reason, now, forced=True)
        return row
    if state is RunnerState.HELD:
        if now - row.entered >= row.hold:
            return retire(row, "it was held long enough", now)
        return row
    if awaits_result(row) and now >= result_due(row):
        return retire(row, _stop(row), now)
    if profile is None:
        if state in (RunnerState.BUSY, RunnerState.RESERVED):
            return row
        return retire(row, "its profile is not in the settings any more", now)
    if now - row.born >= row.lifetime(profile):
        return retire(row, "max_lifetime is over", now, forced=True)
    if state is RunnerState.BOOTING:
        patience = row.patience(profile)
        late = row.entered + patience
        if now >= late and row.listed is not None and row.listed >= late:
            return give_up(row, f"not online within {patience:g} s", now)
    if (
        state is RunnerState.BUSY
        and row.done
        and row.refused is not None
        and now - row.refused >= ASK_AGAIN
    ):
        return retire(row, f"its job ended: {row.result or 'no result known'}", now)
    return row
