"""Runs and artifacts, by REST and on the other port."""

from __future__ import annotations

import io
import zipfile

import httpx
import pytest
import trio

from scaler_github.testing import Simulator

UNIQUE = "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11"


@pytest.fixture
async def sim(nursery: trio.Nursery) -> Simulator:
    simulator = Simulator()
    await nursery.start(simulator.serve)
    return simulator


def client(sim: Simulator, token: str | None = None) -> httpx.AsyncClient:
    text = token or sim.token
    return httpx.AsyncClient(base_url=sim.rest_url, headers={"authorization": f"Bearer {text}"})


async def test_from_a_job_to_its_proof(sim: Simulator) -> None:
    [job] = sim.queue_jobs("linux")
    made = sim.add_proof(job, UNIQUE, "linux", 2)
    sim.add_artifact(job.run_id, "other", "x")
    base = f"/repos/{job.repository}/actions"
    async with client(sim) as api:
        run = (await api.get(f"{base}/runs/{job.run_id}")).json()
        assert (run["status"], run["event"]) == ("in_progress", "push")
        listed = (await api.get(f"{base}/runs/{job.run_id}/artifacts")).json()
        assert listed["total_count"] == 2
        named = await api.get(f"{base}/runs/{job.run_id}/artifacts", params={"name": made.name})
        [shown] = named.json()["artifacts"]
        assert shown["digest"] == made.digest
        assert shown["workflow_run"]["id"] == job.run_id
        moved = await api.get(f"{base}/artifacts/{made.id}/zip")
        assert moved.status_code == 302
        where = moved.headers["location"]
        assert not where.startswith(f"{sim.origin}/")
        refused = await api.get(where)
        assert refused.status_code == 400  # a credential is not for that host
    async with httpx.AsyncClient() as nobody:
        archive = (await nobody.get(where)).content
        assert (await nobody.get(where.replace("sig=", "sig=0"))).status_code == 403
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        [name] = bundle.namelist()
        assert bundle.read(name).decode().splitlines()[-1] == "self_hosted_runner_count=2"
    sim.finish_job(job)
    async with client(sim) as api:
        run = (await api.get(f"{base}/runs/{job.run_id}")).json()
        assert run["status"] == "completed"


async def test_what_is_gone_and_what_may_not_be_seen(sim: Simulator) -> None:
    run = sim.add_run("acme/widgets", event="pull_request", status="completed")
    made = sim.add_artifact(run.id, "x", "y")
    path = f"/repos/acme/widgets/actions/artifacts/{made.id}/zip"
    sim.add_token("ghp_few", {"read:user"})
    sim.add_token("github_pat_read", {"actions=read"})
    async with client(sim, "ghp_few") as api:
        assert (await api.get(path)).status_code == 404
    async with client(sim, "github_pat_read") as api:
        assert (await api.get(path)).status_code == 302
    async with client(sim) as api:
        assert (await api.get(path.replace("widgets", "other"))).status_code == 404
        made.expired = True
        assert (await api.get(path)).status_code == 410
        sim.remove_artifact(made)
        assert (await api.get(path)).status_code == 404
        assert (await api.get("/repos/acme/widgets/actions/runs/7")).status_code == 404


async def test_pages(sim: Simulator) -> None:
    run = sim.add_run("acme/widgets")
    for number in range(150):
        sim.add_artifact(run.id, f"a{number}")
    path = f"/repos/acme/widgets/actions/runs/{run.id}/artifacts"
    async with client(sim) as api:
        answer = await api.get(path, params={"per_page": "100"})
        assert len(answer.json()["artifacts"]) == 100
        assert answer.json()["total_count"] == 150
        assert 'rel="next"' in answer.headers["link"]
        every = await api.get("/repos/acme/widgets/actions/artifacts", params={"name": "a7"})
        assert every.json()["total_count"] == 1


async def test_an_archive_is_there_for_a_minute(sim: Simulator) -> None:
    run = sim.add_run("acme/widgets")
    made = sim.add_artifact(run.id, "x", "y")
    async with client(sim) as api, httpx.AsyncClient() as nobody:
        path = f"/repos/acme/widgets/actions/artifacts/{made.id}/zip"
        where = (await api.get(path)).headers["location"]
        sim.options.clock_offset = 59
        assert (await nobody.get(where)).status_code == 200
        sim.options.clock_offset = 61
        assert (await nobody.get(where)).status_code == 403


async def test_by_hand(sim: Simulator) -> None:
    async with httpx.AsyncClient(base_url=f"{sim.origin}/_control/") as hand:
        run = (await hand.post("runs/add", json={"repository": "acme/widgets"})).json()
        fields = {"run_id": run["id"], "name": "x", "content": "y", "age": 5}
        made = (await hand.post("artifacts/add", json=fields)).json()
        assert made["name"] == "x"
        gone = await hand.post("artifacts/remove", json={"artifact": made["id"]})
        assert gone.status_code == 200
        lost = await hand.post("artifacts/add", json={"run_id": 1, "name": "x"})
        assert lost.status_code == 404
