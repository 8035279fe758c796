"""Budgets by the hour, and secondary limits."""

import math

import httpx
import pytest
import trio

from scaler_github.testing.probe import Probe, probed

TOKEN_PATH = "/orgs/acme/actions/runners/registration-token"
CORE, REGISTRATION = "core", "actions_runner_registration"


def told(answer: httpx.Response) -> tuple[str, int, int, int]:
    headers = answer.headers
    numbers = [int(headers[f"x-ratelimit-{name}"]) for name in ("limit", "used", "remaining")]
    return (headers["x-ratelimit-resource"], numbers[0], numbers[1], numbers[2])


async def test_each_resource_and_each_person_has_a_budget() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_token("ghp_second")
        sim.add_token("ghp_shared", login="octocat")
        assert told(await probe.rest("GET", "/user")) == (CORE, 5000, 1, 4999)
        assert told(await probe.rest("POST", TOKEN_PATH)) == (REGISTRATION, 10_000, 1, 9999)
        other = await probe.rest("GET", "/user", auth="Bearer ghp_second")
        assert told(other) == (CORE, 5000, 1, 4999)
        shared = await probe.rest("GET", "/user", auth="Bearer ghp_shared")
        assert told(shared) == (CORE, 5000, 2, 4998)
        assert told(await probe.rest("GET", "/user", auth="Bearer wrong"))[1] == 60
        assert (sim.rate.used, sim.rate_of("ghp_second").used) == (2, 1)
        shown = (await probe.rest("GET", "/rate_limit")).json()
        assert shown["rate"] == shown["resources"][CORE]
        assert (shown["rate"]["used"], shown["resources"][REGISTRATION]["used"]) == (2, 1)
        assert (await probe.rest("GET", "/rate_limit", auth="Bearer x")).status_code == 401
        with pytest.raises(LookupError, match="personal access token"):
            sim.rate_of("nobody")
        with pytest.raises(LookupError, match="no resource 'graphql'"):
            sim.rate_of(resource="graphql")


@pytest.mark.parametrize("status", [403, 429])
async def test_a_budget_ends_for_its_resource_and_credential_alone(status: int) -> None:
    async with probed(ready=False, limit_status=status) as (sim, probe):
        sim.add_token("ghp_second")
        sim.limit_rate(1, limit=100)
        assert told(await probe.rest("GET", "/user")) == (CORE, 100, 100, 0)
        answer = await probe.rest("GET", "/user")
        assert (answer.status_code, told(answer)[3]) == (status, 0)
        assert "retry-after" not in answer.headers
        assert (await probe.rest("POST", TOKEN_PATH)).status_code == 201
        assert (await probe.rest("GET", "/user", auth="Bearer ghp_second")).status_code == 200
        sim.options.clock_offset = int(answer.headers["x-ratelimit-reset"]) - sim.now + 1
        assert told(await probe.rest("GET", "/user")) == (CORE, 100, 1, 99)


async def points(probe: Probe, *methods: str) -> list[int]:
    path = {"GET": "/user", "POST": TOKEN_PATH}
    return [(await probe.rest(one, path[one])).status_code for one in methods]


async def test_points_of_a_minute() -> None:
    async with probed(ready=False, points_per_minute=12) as (sim, probe):
        got = await points(probe, "POST", "GET", "POST", "POST", "GET", "GET")
        assert got == [201, 200, 201, 403, 200, 403]
        answer = await probe.rest("GET", "/user")
        assert "secondary rate limit" in answer.json()["message"]
        assert told(answer)[3] > 0
        wait = int(answer.headers["retry-after"])
        assert 50 <= wait <= 60
        sim.options.clock_offset = wait + 1
        assert (await probe.rest("GET", "/user")).status_code == 200


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("said", [True, False])
async def test_the_forms_of_a_secondary_limit(status: int, said: bool) -> None:
    options = {"secondary_status": status, "secondary_told": said}
    async with probed(ready=False, **options) as (sim, probe):
        sim.add_token("ghp_second")
        sim.limit_secondarily(30)
        answer = await probe.rest("POST", TOKEN_PATH)
        assert answer.status_code == status
        assert "You have exceeded a secondary rate limit" in answer.json()["message"]
        assert answer.headers.get("retry-after") in ({"29", "30"} if said else {None})
        assert (await probe.rest("GET", "/user", auth="Bearer ghp_second")).status_code == 200
        sim.options.clock_offset = 31
        assert (await probe.rest("POST", TOKEN_PATH)).status_code == 201


async def test_requests_at_once() -> None:
    async with probed(ready=False, concurrent=2, delay=0.05) as (_, probe):
        got: list[int] = []

        async def ask() -> None:
            got.append((await probe.rest("GET", "/user")).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        assert 403 in got
        assert 200 in got
        assert (await probe.rest("GET", "/user")).status_code == 200


async def test_the_hour_begins_with_the_first_call() -> None:
    async with probed(ready=False) as (sim, probe):
        answer = await probe.rest("GET", "/user")
        reset = int(answer.headers["x-ratelimit-reset"])
        assert math.isclose(reset, sim.now + 3600, abs_tol=5)
