"""Each kind of scripted fault, and that the simulator goes on after it."""

import json
import time

import httpx
import pytest
import trio

from scaler_github.testing.faults import Kind
from scaler_github.testing.probe import AGENTS, probed


async def test_status_faults_strike_so_often_and_then_no_more() -> None:
    async with probed(poll_seconds=0.01) as (sim, probe):
        sim.faults.add("poll", times=2, skip=1, status=500)
        got = [(await probe.poll()).status_code for _ in range(4)]
        assert got == [202, 500, 500, 202]
        assert [one.fault for one in sim.history.of("poll")] == [None, "status", "status", None]
        assert not sim.faults.pending


@pytest.mark.parametrize("body", [b"", b"<html>Unicorn!</html>", b'{"messageId": 4', b"[]"])
async def test_any_body_with_any_status(body: bytes) -> None:
    async with probed() as (sim, probe):
        sim.queue_jobs("vm")
        sim.faults.add("poll", status=200, body=body, headers={"Content-Type": "text/html"})
        answer = await probe.poll()
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-type"] == "text/html"
        assert (await probe.poll()).json()["messageId"]


async def test_standard_bodies_and_retry_after() -> None:
    async with probed(ready=False) as (sim, probe):
        path = "/orgs/acme/actions/runners/registration-token"
        sim.faults.add("registration-token", status=429, headers={"Retry-After": "7"})
        answer = await probe.rest("POST", path)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        sim.faults.add("registration-token", status=401)
        assert (await probe.rest("POST", path)).json()["message"] == "Bad credentials"
        sim.faults.add("registration-token", status=599)
        assert (await probe.rest("POST", path)).json()["status"] == "599"
        await probe.register()
        sim.faults.add("list-agents", status=401)
        assert "typeName" in (await probe.service("GET", AGENTS)).json()
        body = {"typeName": "X.OddException, X", "message": "odd"}
        sim.faults.add("list-agents", status=400, body=body)
        assert (await probe.service("GET", AGENTS)).json() == body


@pytest.mark.parametrize("kind", ["drop", "reset"])
async def test_the_connection_breaks_before_acting(kind: Kind) -> None:
    async with probed() as (sim, probe):
        sim.faults.add("jitconfig", kind=kind)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await probe.jitconfig("r1")
        assert not sim.agents
        assert sim.history.of("jitconfig")[0].status == 0
        assert (await probe.jitconfig("r1")).status_code == 200


async def test_the_answer_is_lost_after_acting() -> None:
    async with probed() as (sim, probe):
        sim.faults.add("jitconfig", kind="lose")
        with pytest.raises(httpx.RemoteProtocolError):
            await probe.jitconfig("r1")
        assert [agent.name for agent in sim.agents] == ["r1"]
        assert (await probe.jitconfig("r1")).status_code == 409
        sim.faults.add("jitconfig", status=500, act=True)
        assert (await probe.jitconfig("r2")).status_code == 500
        assert len(sim.agents) == 2


async def test_truncated_slow_and_raw_answers() -> None:
    async with probed() as (sim, probe):
        sim.queue_jobs("vm")
        for keep in (0, 1, 50):
            sim.faults.add("poll", kind="truncate", keep=keep)
            with pytest.raises(httpx.RemoteProtocolError):
                await probe.poll()
        sim.faults.add("list-agents", kind="slow", delay=0.0001)
        assert (await probe.service("GET", AGENTS)).json() == {"count": 0, "value": []}
        sim.faults.add("poll", kind="raw", body="SSH-2.0-x\r\n\r\n")
        with pytest.raises(httpx.RemoteProtocolError):
            await probe.poll()
        sim.faults.add("poll", kind="raw")
        with pytest.raises(httpx.RemoteProtocolError):
            await probe.poll()
        assert (await probe.poll()).status_code == 200


async def test_fields_are_edited() -> None:
    async with probed(ready=False) as (sim, probe):
        await probe.register()
        await probe.create()
        sim.faults.add("create-session", fields={"messageQueueUrl": None})
        answer = await probe.open()
        assert answer.json()["messageQueueUrl"] is None
        assert answer.json()["sessionId"]
        assert sim.scale_set("vm").session is not None


async def test_hanging_delays_and_dropping_everything() -> None:
    async with probed() as (sim, probe):
        sim.faults.add("list-agents", kind="hang", times=None)
        with trio.move_on_after(0.03) as scope:
            await probe.service("GET", AGENTS)
        assert scope.cancelled_caught

        async def hang() -> None:
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await probe.service("GET", AGENTS)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang)
            await sim.wait_for(lambda: sim.count("list-agents") == 2)
            assert sim.drop_connections() >= 1
        sim.faults.clear()
        sim.options.delay, sim.delays["list-agents"] = 0.01, 0.02
        sim.faults.add("list-agents", delay=0.02)
        before = time.monotonic()
        assert (await probe.service("GET", AGENTS)).status_code == 200
        assert time.monotonic() - before >= 0.05
        assert (sim.history.of("list-agents")[-1].seconds or 0) >= 0.05


async def test_an_outage_ends_by_itself_or_on_demand() -> None:
    async with probed(poll_seconds=0.01) as (sim, probe):
        sim.faults.outage(1.0)
        assert (await probe.poll()).status_code == 503
        assert (await probe.rest("GET", "/user")).status_code == 503
        await trio.sleep(1.0)
        assert (await probe.poll()).status_code == 202
        sim.faults.outage(kind="drop")
        with pytest.raises(httpx.RemoteProtocolError):
            await probe.poll()
        sim.faults.clear()
        assert (await probe.poll()).status_code == 202


async def test_faults_can_be_narrowed_and_taken_back() -> None:
    async with probed() as (sim, probe):
        fault = sim.faults.add("*", times=None, status=500, contains="agentName=x")
        assert (await probe.service("GET", AGENTS, agentName="x")).status_code == 500
        assert (await probe.service("GET", AGENTS, agentName="y")).status_code == 200
        sim.faults.remove(fault)
        sim.faults.remove(fault)
        assert (await probe.service("GET", AGENTS, agentName="x")).status_code == 200
        with pytest.raises(ValueError, match="no route"):
            sim.faults.add("pol", status=500)
        with pytest.raises(ValueError, match="kind None"):
            sim.faults.add("poll")


async def test_the_history_tells_what_was_asked_without_secrets() -> None:
    async with probed(poll_seconds=0.01) as (sim, probe):
        await probe.poll(41, capacity=4)
        [poll] = sim.history.of("poll")
        assert (poll.capacity, poll.auth, poll.status) == (4, "Bearer", 202)
        assert poll.query["lastMessageId"] == "41"
        assert poll.headers["accept"] == "application/json; api-version=6.0-preview"
        assert probe.queue_token not in repr(sim.history.exchanges)
        assert probe.admin not in repr(sim.history.exchanges)
        assert sim.history.of("runner-registration")[0].auth == "RemoteAuth"
        assert json.dumps(sim.history.counts)
        sim.history.clear()
        assert sim.count("poll") == 0
