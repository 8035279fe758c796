"""Runners that are registered one by one, labelled and removed through REST."""

from typing import Any

import httpx
import pytest

from scaler_github.testing.probe import Probe, probed

RUNNERS = "/orgs/acme/actions/runners"


async def register(probe: Probe, name: str, *labels: str) -> httpx.Response:
    body = {"name": name, "runner_group_id": 1, "labels": list(labels) or ["x"]}
    return await probe.rest("POST", f"{RUNNERS}/generate-jitconfig", body=body)


async def test_the_life_of_a_runner() -> None:
    async with probed(ready=False) as (sim, probe):
        answer = await register(probe, "bench.1", "self-hosted", "bench")
        assert answer.status_code == 201
        assert answer.json()["encoded_jit_config"]
        number = answer.json()["runner"]["id"]
        assert answer.json()["runner"]["labels"][0]["type"] == "custom"
        assert (await register(probe, "bench.1")).status_code == 409

        sim.bring_online("bench.1")
        answer = await probe.rest("GET", f"{RUNNERS}/{number}")
        assert (answer.json()["status"], answer.json()["busy"]) == ("online", False)
        [job] = sim.queue_jobs(labels=["reserved-for:1"])
        assert job.state == "queued"
        answer = await probe.rest(
            "POST", f"{RUNNERS}/{number}/labels", body={"labels": ["reserved-for:1", "BENCH"]}
        )
        assert (answer.status_code, answer.json()["total_count"]) == (200, 3)
        assert job.state == "running"
        answer = await probe.rest("DELETE", f"{RUNNERS}/{number}")
        assert answer.status_code == 422
        assert "is still running a job" in answer.json()["message"]
        sim.finish_job(job)
        assert (await probe.rest("DELETE", f"{RUNNERS}/{number}")).status_code == 404
        assert job.runner_name == "bench.1"


async def test_labels_are_taken_back() -> None:
    async with probed(ready=False) as (_, probe):
        number = (await register(probe, "r", "a", "b", "c")).json()["runner"]["id"]
        path = f"{RUNNERS}/{number}/labels"
        assert (await probe.rest("DELETE", f"{path}/a")).json()["total_count"] == 2
        assert (await probe.rest("DELETE", f"{path}/a")).status_code == 404
        assert (await probe.rest("GET", path)).json()["total_count"] == 2
        assert (await probe.rest("DELETE", path)).json()["total_count"] == 0
        assert (await probe.rest("POST", path, body={"labels": []})).status_code == 422
        assert (await probe.rest("DELETE", f"{RUNNERS}/{number}")).status_code == 204
        assert (await probe.rest("GET", f"{RUNNERS}/x")).status_code == 404


async def test_pages() -> None:
    async with probed(ready=False) as (_, probe):
        for number in range(5):
            await register(probe, f"r{number}")
        answer = await probe.rest("GET", f"{RUNNERS}?per_page=2")
        names = []
        while True:
            assert answer.json()["total_count"] == 5
            names += [runner["name"] for runner in answer.json()["runners"]]
            if "next" not in answer.links:
                break
            url = answer.links["next"]["url"]
            answer = await probe.rest("GET", url.removeprefix(probe.rest_url))
        assert names == [f"r{number}" for number in range(5)]
        answer = await probe.rest("GET", f"{RUNNERS}?name=r3")
        assert [runner["name"] for runner in answer.json()["runners"]] == ["r3"]
        answer = await probe.rest("GET", "/orgs/acme/actions/runner-groups")
        assert answer.json()["runner_groups"][0]["name"] == "Default"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"runner_group_id": None}, 422),
        ({"runner_group_id": 9}, 404),
        ({"labels": []}, 422),
        ({"labels": ["x"] * 101}, 422),
        ({"name": 5}, 422),
    ],
)
async def test_refused_registrations(change: dict[str, Any], status: int) -> None:
    async with probed(ready=False) as (sim, probe):
        body = {"name": "r", "runner_group_id": 1, "labels": ["x"], **change}
        answer = await probe.rest("POST", f"{RUNNERS}/generate-jitconfig", body=body)
        assert answer.status_code == status
        del body["runner_group_id"]
        answer = await probe.rest("POST", f"{RUNNERS}/generate-jitconfig", body=body)
        assert answer.json()["message"].endswith("missing required key: runner_group_id")
        sim.add_token("weak", [])
        assert (await probe.rest("GET", RUNNERS, auth="Bearer weak")).status_code == 403
