"""Reserving runners: with a proof, or with the token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quart import Blueprint, Response, request

from scaler import Reservation, Selection, SelectionRequest
from scaler_monitor.api import auth, params
from scaler_monitor.api.gate import Gate
from scaler_monitor.api.outcomes import told, unknown_profile
from scaler_monitor.api.throttle import caller
from scaler_monitor.errors import answer
from scaler_monitor.page import dashboard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler import Runner
    from scaler_monitor.site import Site

WHO = {
    "unique_id": params.UNIQUE_ID,
    "qualified_repo": params.QUALIFIED_REPO,
    "run_id": params.RUN_ID,
}
WAITING = {"wait": params.WAIT}

# Nobody shows a token to select: what it may cost is bounded for each address, for each run (whose
# many jobs ask at once), and in all.
PLACES = 16
QUEUE = 16
ADDRESS = (2.0, 60)  # requests a second for long, and at once
RUN = (1.0, 40)


def routes(site: Site) -> Blueprint:
    """`/select-runner` and `/profile/…/take`."""
    blueprint = Blueprint("reserving", __name__)
    context = site.context
    gate = Gate(places=PLACES, queue=QUEUE, buckets={"address": ADDRESS, "run": RUN})

    async def take(key: str, count: int) -> list[dict[str, Any]] | None:
        asked = params.read(request.query_string, required=WHO, optional=WAITING)
        wait = params.wait(asked["wait"]) if "wait" in asked else 0.0
        selection = Selection(profile=key, count=count)
        try:
            with told():
                taken = await context.take(selection, _reservation(asked), wait=wait)
        except LookupError:
            raise unknown_profile(key) from None
        return _entries(site, taken)

    @blueprint.post("/profile/<key>/take")
    async def take_one(key: str) -> Response:
        auth.required(site)
        taken = await take(key, 1)
        return answer(taken[0] if taken else None)

    @blueprint.post("/profile/<key>/take/<count>")
    async def take_several(key: str, count: str) -> Response:
        auth.required(site)
        return answer(await take(key, params.count(count)))

    @blueprint.post("/select-runner")
    async def select_runner() -> Response:
        asked = params.read(request.query_string, required=WHO)
        address = site.peer()
        run = f"{asked['qualified_repo'].lower()} {asked['run_id']}"
        async with gate.through({"address": caller(address), "run": run}):
            with told():
                selection = await context.select(SelectionRequest(**asked, address=address))
                try:
                    taken = await context.take(selection, _reservation(asked))
                except LookupError:
                    raise unknown_profile(selection.profile) from None
        return answer(_entries(site, taken))

    return blueprint


def _entries(site: Site, taken: tuple[Runner, ...]) -> list[dict[str, Any]] | None:
    return [_entry(site, each) for each in taken] or None


def _entry(site: Site, runner: Runner) -> dict[str, Any]:
    profile = site.context.profiles.get(runner.profile)
    labels = profile.labels if profile is not None else ()
    return {
        "id": runner.id,
        "screenshot_url": f"{site.base_url}runner/{runner.id}/screenshot",
        "runner": dashboard.runner(runner, labels),
    }


def _reservation(asked: Mapping[str, str]) -> Reservation:
    return Reservation(
        unique_id=asked["unique_id"],
        qualified_repo=asked["qualified_repo"],
        run_id=asked["run_id"],
        since=int(time.time()),
    )
