"""Jobs from queueing to completion, in both flows, as a client on the wire sees them."""

import base64
import json
import time
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from scaler_github.testing import Guests, Simulator
from scaler_github.testing.probe import AGENTS, probed
from scaler_github.testing.timing import Clock, Timers


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["messageType"] for message in messages]


async def test_assigned_flow_from_the_first_call_to_the_last() -> None:
    async with probed(ready=False) as (sim, probe):
        answer = await probe.rest("POST", "/orgs/acme/actions/runners/registration-token")
        assert answer.status_code == 201
        assert set(answer.json()) == {"token", "expires_at"}
        answer = await probe.rest(
            "POST",
            "/actions/runner-registration",
            auth=f"RemoteAuth {answer.json()['token']}",
            body={"url": sim.url, "runner_event": "register"},
        )
        assert answer.status_code == 201
        found = answer.json()
        assert found["token_schema"] == "OAuthAccessToken"
        assert found["url"].endswith("/rest/")
        probe.base, probe.admin = found["url"], found["token"]

        answer = await probe.find(name="vm", runnerGroupId="1")
        assert (answer.status_code, answer.json()) == (200, {"count": 0, "value": []})
        answer = await probe.create("vm")
        assert answer.status_code == 200
        assert answer.json()["labels"][0]["name"] == "vm"
        assert answer.json()["RunnerSetting"] == {"disableUpdate": True}
        assert (await probe.find(name="vm", runnerGroupId="1")).json()["count"] == 1

        answer = await probe.open("host-1")
        assert answer.status_code == 200
        session = answer.json()
        assert session["ownerName"] == "host-1"
        assert session["runnerScaleSet"]["id"] == probe.scale_set
        assert "?" in session["messageQueueUrl"]
        assert session["statistics"]["totalAssignedJobs"] == 0

        [job] = sim.queue_jobs("vm")
        answer = await probe.poll(0, capacity=4)
        assert answer.status_code == 200
        message = answer.json()
        assert message["messageType"] == "RunnerScaleSetJobMessages"
        assert isinstance(message["body"], str)
        [assigned] = json.loads(message["body"])
        assert assigned["messageType"] == "JobAssigned"
        assert assigned["runnerRequestId"] == job.request_id
        assert assigned["requestLabels"] == ["vm"]
        assert assigned["ownerName"] == "acme"
        assert assigned["repositoryName"] == "widgets"
        assert assigned["runnerAssignTime"] == "0001-01-01T00:00:00Z"
        assert message["statistics"]["totalAssignedJobs"] == 1

        answer = await probe.jitconfig("vm-k3j9")
        assert answer.status_code == 200
        runner = answer.json()["runner"]
        assert runner == {"id": 901, "name": "vm-k3j9", "runnerScaleSetId": probe.scale_set}
        files = json.loads(base64.b64decode(answer.json()["encodedJITConfig"]))
        assert set(files) == {".runner", ".credentials", ".credentials_rsaparams"}
        settings = json.loads(base64.b64decode(files[".runner"]))
        assert settings["AgentName"] == "vm-k3j9"
        assert settings["AgentId"] == "901"
        assert (await probe.delete_message(message["messageId"])).status_code == 204

        sim.bring_online("vm-k3j9")
        answer = await probe.poll(message["messageId"], capacity=4)
        [started] = json.loads(answer.json()["body"])
        assert kinds([started]) == ["JobStarted"]
        assert (started["runnerId"], started["runnerName"]) == (901, "vm-k3j9")
        statistics = answer.json()["statistics"]
        assert statistics["totalRunningJobs"] == statistics["totalAssignedJobs"] == 1
        assert statistics["totalBusyRunners"] == statistics["totalRegisteredRunners"] == 1
        assert (await probe.delete_message(answer.json()["messageId"])).status_code == 204

        busy = await probe.service("DELETE", f"{AGENTS}/901")
        assert busy.status_code == 400
        assert "JobStillRunningException" in busy.json()["typeName"]
        sim.finish_job(job)
        answer = await probe.poll(answer.json()["messageId"], capacity=4)
        [completed] = json.loads(answer.json()["body"])
        assert kinds([completed]) == ["JobCompleted"]
        assert (completed["result"], completed["runnerName"]) == ("succeeded", "vm-k3j9")
        assert completed["finishTime"] > completed["runnerAssignTime"]
        assert not any(answer.json()["statistics"].values())
        assert (await probe.delete_message(answer.json()["messageId"])).status_code == 204

        gone = await probe.service("GET", f"{AGENTS}/901")
        assert gone.status_code == 404
        assert "AgentNotFoundException" in gone.json()["typeName"]
        assert (await probe.service("DELETE", f"{AGENTS}/901")).status_code == 204
        path = probe.path(f"/sessions/{session['sessionId']}")
        assert (await probe.service("DELETE", path)).status_code == 204


async def test_offered_flow_waits_for_the_client_to_acquire() -> None:
    async with probed(flow="offered") as (sim, probe):
        assert (await probe.service("GET", probe.path("/acquirablejobs"))).status_code == 204
        jobs = sim.queue_jobs("vm", 3)
        ids = [job.request_id for job in jobs]
        answer = await probe.poll(0, capacity=4)
        offers = json.loads(answer.json()["body"])
        assert kinds(offers) == ["JobAvailable"] * 3
        assert offers[0]["acquireJobUrl"].startswith(probe.base)
        assert answer.json()["statistics"]["totalAvailableJobs"] == 3
        assert answer.json()["statistics"]["totalAssignedJobs"] == 0
        await probe.delete_message(answer.json()["messageId"])
        probe.cursor = answer.json()["messageId"]

        answer = await probe.service("GET", probe.path("/acquirablejobs"))
        assert answer.json()["count"] == 3
        assert set(answer.json()["value"][0]) == {
            "acquireJobUrl",
            "messageType",
            "runnerRequestId",
            "repositoryName",
            "ownerName",
            "jobWorkflowRef",
            "eventName",
            "requestLabels",
        }
        sim.cancel_job(jobs[1])
        answer = await probe.acquire([*ids, 999])
        assert answer.json() == {"count": 2, "value": [ids[0], ids[2]]}
        assert (await probe.acquire(ids)).json() == {"count": 0, "value": []}
        news = await probe.news()
        assert kinds(news) == ["JobCompleted", "JobAssigned", "JobAssigned"]
        assert (news[0]["result"], news[0]["runnerName"]) == ("canceled", "")

        await probe.jitconfig("r1")
        sim.bring_online("r1")
        assert kinds(await probe.news()) == ["JobStarted"]
        sim.finish_job(ids[0], "failed")
        [completed] = await probe.news()
        assert completed["result"] == "failed"


async def test_an_offer_goes_to_every_fitting_scale_set_and_to_one_client() -> None:
    async with probed(flow="offered") as (sim, probe):
        other = sim.create_scale_set("big", ["vm", "gpu"])
        [job] = sim.queue_jobs(labels=["vm"])
        assert job.offers == {probe.scale_set, other.id}
        assert (await probe.acquire([job.request_id])).json()["count"] == 1
        assert not other.offered
        [only_big] = sim.queue_jobs(labels=["GPU", "vm"])
        assert only_big.offers == {other.id}
        with pytest.raises(ValueError, match="scale set or for labels"):
            sim.queue_jobs()


async def test_capacity_is_a_total_of_assigned_and_running() -> None:
    async with probed() as (sim, probe):
        jobs = sim.queue_jobs("vm", 5)
        assert all(job.state == "queued" for job in jobs)
        assert len(await probe.news(capacity=2)) == 2
        await probe.jitconfig("r1")
        sim.bring_online("r1")
        assert kinds(await probe.news(capacity=2)) == ["JobStarted"]
        assert len(sim.jobs_in("assigned", "running")) == 2
        assert kinds(await probe.news(capacity=3)) == ["JobAssigned"]
        sim.finish_job(jobs[0])
        assert kinds(await probe.news(capacity=0)) == ["JobCompleted", "JobAssigned"]
        sim.cancel_job(jobs[1])
        assert len(sim.jobs_in("assigned")) == 2
        assert len(sim.jobs_in("queued")) == 1
        await probe.news(capacity=None)
        assert not sim.jobs_in("queued")


async def test_unacknowledged_messages_come_again() -> None:
    async with probed(poll_seconds=0.01) as (sim, probe):
        sim.queue_jobs("vm", 60)
        first = (await probe.poll(0)).json()
        assert len(json.loads(first["body"])) == 50
        assert (await probe.poll(0)).json()["messageId"] == first["messageId"]
        second = (await probe.poll(first["messageId"])).json()
        assert len(json.loads(second["body"])) == 10
        assert (await probe.poll(second["messageId"])).status_code == 202
        assert (await probe.poll(0)).json()["messageId"] == first["messageId"]
        assert (await probe.delete_message(first["messageId"])).status_code == 204
        assert (await probe.delete_message(first["messageId"])).status_code == 404
        assert (await probe.poll(0)).json()["messageId"] == second["messageId"]
        assert (await probe.delete_message(second["messageId"])).status_code == 204
        assert (await probe.poll(0)).status_code == 202
        assert sim.redeliver("vm", first["messageId"]) == first["messageId"]
        assert (await probe.poll(second["messageId"])).json()["body"] == first["body"]
        with pytest.raises(LookupError):
            sim.redeliver("vm", 1)


async def test_messages_of_the_tests_own_making_and_new_numbers() -> None:
    async with probed(poll_seconds=0.01) as (sim, probe):
        zero = {"totalAssignedJobs": 0}
        sim.inject_message("vm", [{"messageType": "JobAssigned"}], statistics=zero)
        first = (await probe.poll(0)).json()
        assert first["statistics"] == zero
        sim.renumber_messages(5)
        sim.inject_message("vm", raw_body="{", kind="Other")
        assert (await probe.poll(first["messageId"])).status_code == 202
        await probe.delete_message(first["messageId"])
        second = (await probe.poll(0)).json()
        assert (second["messageId"], second["messageType"], second["body"]) == (5, "Other", "{")


async def test_a_poll_wakes_at_once_and_ends_without_news() -> None:
    async with probed(poll_seconds=0.05) as (sim, probe):
        before = trio.current_time()
        assert (await probe.poll(0)).status_code == 202
        assert trio.current_time() - before >= 0.05
        sim.options.poll_seconds = 50
        async with trio.open_nursery() as nursery:

            async def poll() -> None:
                assert len(await probe.news()) == 1

            nursery.start_soon(poll)
            await sim.wait_for(lambda: sim.count("poll") == 2)
            sim.queue_jobs("vm")


async def test_an_assignment_lapses_and_is_given_again_three_times() -> None:
    async with probed(assign_timeout=0.01) as (sim, probe):
        [job] = sim.queue_jobs("vm")
        first = job.request_id
        assert kinds(await probe.news()) == ["JobAssigned"]
        await sim.wait_for(lambda: job.state == "completed")
        assert job.lapses == 3
        assert job.request_id != first
        news = await probe.news()
        assert kinds(news) == ["JobCompleted", "JobAssigned"] * 3 + ["JobCompleted"]
        assert {one["jobId"] for one in news} == {job.job_id}
        assert {one["result"] for one in news if "result" in one} == {"canceled"}


async def test_a_runner_comes_online_once_and_waits_for_a_job() -> None:
    async with probed(vanish_delay=0.02) as (sim, probe):
        await probe.jitconfig("r1")
        agent = sim.bring_online("r1")
        with pytest.raises(ValueError, match="used before"):
            sim.bring_online("r1")
        with pytest.raises(LookupError):
            sim.bring_online("nobody")
        assert agent.status == "online"
        [job] = sim.queue_jobs("vm", run_time=0.01)
        assert kinds(await probe.news()) == ["JobAssigned", "JobStarted"]
        await sim.wait_for(lambda: job.state == "completed")
        assert [one.name for one in sim.agents] == ["r1"]
        await sim.wait_for(lambda: not sim.agents)

        await probe.jitconfig("r2")
        sim.bring_online("r2")
        sim.take_offline("r2")
        assert (await probe.service("GET", AGENTS, agentName="r2")).json()["count"] == 1
        assert sim.scale_set("vm").statistics()["totalIdleRunners"] == 0
        sim.remove_agent("r2")
        assert (await probe.service("GET", AGENTS)).json() == {"count": 0, "value": []}


async def test_a_deleted_scale_set_returns_its_jobs_to_the_queue() -> None:
    async with probed(poll_seconds=5) as (sim, probe):
        jobs = sim.queue_jobs("vm", 2)
        await probe.news()
        await probe.jitconfig("r1")
        sim.bring_online("r1")
        await probe.news()
        assert (await probe.service("DELETE", probe.path())).status_code == 400
        async with trio.open_nursery() as nursery:

            async def poll() -> None:
                answer = await probe.poll(probe.cursor)
                assert answer.status_code == 404
                assert "RunnerScaleSetNotFoundException" in answer.json()["typeName"]

            nursery.start_soon(poll)
            await sim.wait_for(lambda: sim.count("poll") == 3)
            sim.delete_scale_set("vm")
        assert [job.state for job in jobs] == ["running", "queued"]
        assert [agent.name for agent in sim.agents] == ["r1"]
        assert (await probe.open()).status_code == 404
        sim.finish_job(jobs[0])
        await probe.create()
        await probe.open()
        probe.cursor = 0
        assert kinds(await probe.news()) == ["JobAssigned"]
        sim.cancel_job(jobs[1])
        assert (await probe.service("DELETE", probe.path())).status_code == 204
        assert not sim.scale_sets


@pytest.mark.parametrize(
    ("scope", "path", "repository"),
    [
        ("acme/widgets", "repos/acme/widgets", "acme/widgets"),
        ("enterprises/big", "enterprises/big", "acme/widgets"),
    ],
)
async def test_other_scopes(scope: str, path: str, repository: str) -> None:
    async with probed(ready=False, scope=scope) as (sim, probe):
        assert sim.url.endswith(f"/{scope}")
        await probe.register(path)
        await probe.create()
        await probe.open()
        sim.queue_jobs("vm", repository=repository)
        assert kinds(await probe.news()) == ["JobAssigned"]


async def test_jobs_of_a_stranger_do_not_come() -> None:
    async with probed() as (sim, probe):
        [job] = sim.queue_jobs("vm", repository="acme-evil/widgets")
        sim.queue_jobs("vm", repository="ACME/widgets")
        assert len(await probe.news()) == 1
        assert job.state == "queued"


async def test_five_hundred_jobs_with_guests_are_quick() -> None:
    before = time.process_time()
    async with probed(guests=Guests(boot=(0.0, 0.01), work=0.005)) as (sim, probe):
        sim.queue_jobs("vm", 500)
        limit = trio.CapacityLimiter(10)

        async def provide(number: int) -> None:
            async with limit:
                assert (await probe.jitconfig(f"r{number}")).status_code == 200

        seen = {"JobAssigned": 0, "JobStarted": 0, "JobCompleted": 0}
        async with trio.open_nursery() as nursery:
            while seen["JobCompleted"] < 500:
                for one in await probe.news(capacity=50):
                    seen[one["messageType"]] += 1
                    if one["messageType"] == "JobAssigned":
                        nursery.start_soon(provide, seen["JobAssigned"])
                running = sim.jobs_in("assigned", "running")
                assert len(running) <= 50
        assert seen == {"JobAssigned": 500, "JobStarted": 500, "JobCompleted": 500}
        assert not sim.agents
    assert time.process_time() - before < 10


async def test_some_guests_get_lost() -> None:
    async with probed(guests=Guests(lost=1.0)) as (sim, probe):
        await probe.jitconfig("r1")
        await trio.sleep(0.01)
        assert not sim.agents[0].online


async def test_two_simulators_do_not_know_each_other() -> None:
    async with probed() as (one, probe), probed() as (two, _):
        probe.base = two.service_url
        assert one.url != two.url
        assert (await probe.find()).status_code == 401


async def test_wait_for_gives_up() -> None:
    sim = Simulator()
    with pytest.raises(TimeoutError):
        await sim.wait_for(lambda: False, timeout=0.01)
    with pytest.raises(ValueError, match="no route"):
        sim.count("nonsense")


async def test_an_address_in_use_is_an_error() -> None:
    async with probed(ready=False) as (sim, _):
        with pytest.RaisesGroup(OSError, flatten_subgroups=True, allow_unwrapped=True):
            async with trio.open_nursery() as nursery:
                await nursery.start(Simulator(port=httpx.URL(sim.url).port or 0).serve)


async def test_a_timer_that_fails_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timers, done = Timers(Clock()), trio.Event()
    timers.after(0.001, lambda: 1 / 0)
    timers.after(0.002, done.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await done.wait()
        nursery.cancel_scope.cancel()
    assert "a timer failed" in caplog.text


async def test_hours_pass_on_a_mock_clock(autojump_clock: trio.testing.MockClock) -> None:
    clock = Clock()
    before = clock.now()
    await trio.sleep(7200)
    assert clock.now() - before == 7200
