"""Reserving runners: with a proof, or with the token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quart import Blueprint, Response, request

from scaler import Reservation, Selection, SelectionRequest
from scaler_monitor.api import auth, params
from scaler_monitor.api.gate import Gate
from scaler_monitor.api.outcomes import told, unknown_profile
from scaler_monitor.errors import answer
from scaler_monitor.page import dashboard
from scaler_monitor.serving.addresses import caller

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

    async def take(selection: Selection, asked: Mapping[str, str]) -> list[dict[str, Any]] | None:
        wait = params.wait(asked["wait"]) if "wait" in asked else 0.0
        try:
            with told():
                taken = await context.take(selection, _reservation(asked), wait=wait)
        except LookupError:
            raise unknown_profile(selection.profile) from None
        return _entries(site, taken)

    async def take_by_token(key: str, count: int) -> list[dict[str, Any]] | None:
        asked = params.read(request.query_string, required=WHO, optional=WAITING)
        return await take(Selection(profile=key, count=count), asked)

    @blueprint.post("/profile/<key>/take")
    async def take_one(key: str) -> Response:
        auth.required(site)
        taken = await take_by_token(key, 1)
        return answer(taken[0] if taken else None)

    @blueprint.post("/profile/<key>/take/<count>")
    async def take_several(key: str, count: str) -> Response:
        auth.required(site)
        return answer(await take_by_token(key, params.count(count)))

    @blueprint.post("/select-runner")
    async def select_runner() -> Response:
        asked = params.read(request.query_string, required=WHO, optional=WAITING)
        who = {name: asked[name] for name in WHO}
        address = site.peer()
        run = f"{who['qualified_repo'].lower()} {who['run_id']}"
        async with gate.through({"address": caller(address), "run": run}):
            with told(log=context.log):
                selection = await context.select(SelectionRequest(**who, address=address))
        return answer(await take(selection, asked))  # (who waits in line has shown a proof)

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
