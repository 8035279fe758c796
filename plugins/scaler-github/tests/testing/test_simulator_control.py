"""The control interface over HTTP, and the simulator as a program."""

import json
import signal
import subprocess
import sys
from typing import Any

import httpx
import trio

from scaler_github.testing import Simulator
from scaler_github.testing import __main__ as program
from scaler_github.testing.probe import probed


class Control:
    def __init__(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        self.base = f"{sim.origin}/_control/"
        self.http = http

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(self.base + path)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        return await self.http.post(self.base + path, json=fields)


async def test_jobs_and_runners() -> None:
    async with probed() as (sim, probe):
        control = Control(sim, probe.http)
        answer = await control.post("jobs", scale_set="vm", count=2, display_name="lint")
        first, second = (job["request_id"] for job in answer.json()["jobs"])
        await probe.news()
        encoded = (await probe.jitconfig("r1")).json()["encodedJITConfig"]
        answer = await control.post("runners/online", jit_config=encoded)
        assert (answer.json()["name"], answer.json()["job"]) == ("r1", first)
        assert (await control.post("runners/online", name="r1")).status_code == 409
        assert (await control.post("runners/online", name="r9")).status_code == 404
        assert (await control.post("runners/online")).status_code == 400
        world = (await control.get("world")).json()
        assert [job["state"] for job in world["jobs"]] == ["running", "assigned"]
        assert world["agents"][0]["busy"]
        [shown] = world["scale_sets"]
        assert shown["session"]["owner"] == "host-1"
        assert shown["statistics"]["totalRunningJobs"] == 1
        answer = await control.post("jobs/finish", job=first, result="failed")
        assert answer.json()["result"] == "failed"
        assert (await control.post("jobs/cancel", job=second)).json()["result"] == "canceled"
        assert (await control.post("jobs/cancel", job=5)).status_code == 404
        await probe.jitconfig("r2")
        assert (await control.post("runners/offline", name="r2")).status_code == 200
        assert (await control.post("runners/remove", name="r2")).status_code == 200
        assert not sim.agents


async def test_everything_else() -> None:
    async with probed(poll_seconds=0.01) as (sim, probe):
        control = Control(sim, probe.http)
        fault = (await control.post("faults/add", route="poll", status=500, body={"a": 1})).json()
        assert fault["body"] == '{"a":1}'
        assert len((await control.get("faults")).json()["result"]) == 1
        assert (await probe.poll()).status_code == 500
        assert (await control.post("faults/add", route="nope")).status_code == 400
        await control.post("faults/outage", seconds=60)
        assert (await probe.poll()).status_code == 503
        await control.post("faults/clear")
        assert (await control.post("tokens/expire", kind="queue")).json() == {"result": 1}
        assert (await probe.poll()).status_code == 401
        await probe.refresh()
        await control.post("messages/inject", name="vm", raw_body="[]")
        number = (await probe.poll()).json()["messageId"]
        await probe.delete_message(number)
        assert (await control.post("messages/redeliver", name="vm")).json()["result"] == number
        assert (await probe.poll(number)).json()["messageId"] == number
        await control.post("messages/renumber", first=7)
        assert (await control.post("sessions/hold", name="vm")).json()["owner"] == "rival"
        assert (await probe.open()).status_code == 409
        await control.post("sessions/end", name="vm")
        assert (await control.post("scale-sets/create", name="gpu")).json()["labels"] == ["gpu"]
        assert (await control.post("scale-sets/create", name="gpu")).status_code == 400
        assert (await control.post("scale-sets/delete", name="gpu")).status_code == 200
        assert (await control.post("scale-sets/delete", name="gpu")).status_code == 404
        assert (await control.post("groups/add", name="g")).json() == {"result": 2}
        assert (await control.post("scopes/add", scope="other")).json()["result"].endswith("/other")
        assert (await control.post("tokens/add", text="t", rights=[])).json() == {"result": "t"}
        await control.post("apps/add", client_id="a", installation_id=1)
        answer = await control.post("options", flow="offered", delays={"poll": 0.001})
        assert (answer.json()["flow"], answer.json()["delays"]) == ("offered", {"poll": 0.001})
        assert (await control.post("options", speed=1)).status_code == 400
        history = (await control.get("history?route=poll")).json()
        assert history["counts"]["poll"] == len(history["exchanges"])
        last = history["exchanges"][-1]["number"]
        assert (await control.get(f"history?after={last}&route=poll")).json()["exchanges"] == []
        await control.post("history/clear")
        assert (await control.post("nonsense")).status_code == 404
        assert (await probe.http.post(control.base + "jobs", content=b"{")).status_code == 400
        assert (await probe.http.post(control.base + "jobs", content=b"[1]")).status_code == 400


async def test_credentials_and_limits() -> None:
    async with probed() as (sim, probe):
        control = Control(sim, probe.http)
        path = "/orgs/acme/actions/runners"

        async def status() -> int:
            return (await probe.rest("GET", path)).status_code

        answer = await control.post("rates/limit", remaining=0)
        assert (answer.status_code, await status()) == (200, 403)
        assert (await control.get("rates")).json()["used"] == 5000
        await control.post("rates/limit", remaining=10)
        assert await status() == 200
        await control.post("rates/secondary", seconds=60, token=sim.token)
        assert await status() == 403
        assert (await control.get("rates?token=nobody")).status_code == 404
        sim.add_token("ghp_other")
        probe.token = "ghp_other"
        await control.post("sso/demand", organization="acme")
        assert await status() == 403
        await control.post("sso/authorize", organization="acme", token="ghp_other")
        assert await status() == 200
        await control.post("tokens/add", text="ghp_other", sees=["nothing"])
        assert await status() == 404
        await control.post("tokens/add", text="ghp_other", expires_in=-1)
        assert await status() == 401
        await control.post("tokens/revoke", text=sim.token)
        probe.token = sim.token
        assert await status() == 401
        number = (await control.post("apps/add", client_id="a", installation_id=1)).json()
        assert number["result"] > 0
        assert (await control.post("apps/suspend", installation_id=1)).status_code == 200
        assert (await control.post("apps/remove", installation_id=1)).status_code == 200
        assert (await control.post("apps/remove", installation_id=1)).status_code == 404
        assert (await control.post("groups/close", group_id=1)).status_code == 200
        await probe.jitconfig("r1")
        answer = await control.post("runners/online", name="r1", outdated=True)
        assert (answer.json()["status"], answer.json()["refused"]) == ("offline", 1)
        answer = await control.post("options", fail_labels=[2], list_delay=5)
        assert (answer.json()["fail_labels"], answer.json()["list_delay"]) == ([2], 5)


async def test_dropping_all_connections_spares_the_one_that_asks() -> None:
    async with probed() as (sim, probe):

        async def poll() -> None:
            try:
                await probe.poll()
            except (httpx.RemoteProtocolError, httpx.ReadError):
                return
            raise AssertionError("the poll was not dropped")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll)
            await sim.wait_for(lambda: sim.count("poll") == 1)
            async with httpx.AsyncClient() as http:
                answer = await Control(sim, http).post("connections/drop")
        assert answer.json()["result"] >= 1


async def test_the_program_says_where_it_is_and_stops_cleanly() -> None:
    command = [sys.executable, "-m", "scaler_github.testing", "--flow", "offered", "--boot", "1-2"]
    for number in (signal.SIGTERM, signal.SIGINT):
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        assert process.stdout
        async with process.stdout:
            with trio.fail_after(10):
                text = b""
                while text.count(b"\n") < 3:
                    text += await process.stdout.receive_some()
                told = dict(line.split("=", 1) for line in text.decode().splitlines())
                async with httpx.AsyncClient() as http:
                    world = (await http.get(told["control"] + "world")).json()
                process.send_signal(number)
                assert await process.wait() == 0
        assert world["url"] == told["url"]
        assert told["token"].startswith("ghp_")


async def test_the_program_explains_why_it_cannot_listen() -> None:
    async with probed(ready=False) as (sim, _):
        port = sim.origin.rpartition(":")[2]
        command = [sys.executable, "-m", "scaler_github.testing", "--port", port]
        done = await trio.run_process(command, capture_stderr=True, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr.decode()


def test_times_of_guests_are_numbers_or_ranges() -> None:
    parsed = program.build_parser().parse_args(["--boot", "1-2.5", "--work", "3"])
    assert (parsed.boot, parsed.work) == ((1.0, 2.5), 3.0)
    assert json.dumps(vars(parsed))
