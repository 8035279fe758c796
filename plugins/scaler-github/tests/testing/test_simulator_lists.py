"""Lists that are no snapshots, runner groups, labels that fail."""

from typing import Any

import httpx
import pytest

from scaler_github.testing.probe import AGENTS, Probe, probed

RUNNERS = "/orgs/acme/actions/runners"


async def register(
    probe: Probe, name: str, *labels: str, group: int = 1, base: str = RUNNERS
) -> httpx.Response:
    body = {"name": name, "runner_group_id": group, "labels": list(labels) or ["x"]}
    return await probe.rest("POST", f"{base}/generate-jitconfig", body=body)


async def listed(probe: Probe, query: str = "") -> list[str]:
    answer = (await probe.rest("GET", f"{RUNNERS}?{query}")).json()
    return [runner["name"] for runner in answer["runners"]]


async def agents(probe: Probe, **query: str) -> list[str]:
    answer = (await probe.service("GET", AGENTS, **query)).json()
    return [agent["name"] for agent in answer["value"]]


async def test_both_lists_show_runners_of_both_sorts() -> None:
    async with probed() as (_, probe):
        await probe.jitconfig("of-the-set")
        await register(probe, "by-rest")
        assert await listed(probe) == await agents(probe) == ["of-the-set", "by-rest"]


async def test_a_new_runner_is_listed_late_but_can_be_asked_for() -> None:
    async with probed(list_delay=90) as (sim, probe):
        number = (await register(probe, "r1")).json()["runner"]["id"]
        for _ in range(2):
            assert await listed(probe) == await listed(probe, "name=r1") == []
            assert await agents(probe) == await agents(probe, agentName="r1") == []
            sim.options.clock_offset += 40
        assert (await probe.rest("GET", f"{RUNNERS}/{number}")).status_code == 200
        assert (await register(probe, "r1")).status_code == 409
        sim.options.clock_offset += 11
        assert await listed(probe) == await listed(probe, "name=r1") == ["r1"]
        assert await agents(probe) == await agents(probe, agentName="r1") == ["r1"]


async def turn(probe: Probe, query: str = "per_page=2") -> tuple[list[str], list[int]]:
    """The names of all pages, and the totals that they told."""
    names, totals = [], []
    answer = await probe.rest("GET", f"{RUNNERS}?{query}")
    while True:
        body = answer.raise_for_status().json()
        names += [runner["name"] for runner in body["runners"]]
        totals.append(body["total_count"])
        if "next" not in answer.links:
            return names, totals
        path = answer.links["next"]["url"].removeprefix(probe.rest_url)
        answer = await probe.rest("GET", path)


async def test_rows_move_between_pages() -> None:
    async with probed(ready=False) as (sim, probe):
        for number in range(5):
            await register(probe, f"r{number}")
        assert await turn(probe) == (["r0", "r1", "r2", "r3", "r4"], [5, 5, 5])
        sim.options.list_shift = 1
        assert await turn(probe) == (["r0", "r1", "r3", "r4"], [5, 4])
        sim.options.list_shift = -1
        assert await turn(probe) == (["r0", "r1", "r1", "r2", "r3", "r4"], [5, 6, 6])


async def test_links_lead_everywhere() -> None:
    async with probed(ready=False) as (_, probe):
        for number in range(5):
            await register(probe, f"r{number}")
        links = (await probe.rest("GET", f"{RUNNERS}?page=2&per_page=2")).links
        pages = {rel: httpx.URL(link["url"]).params["page"] for rel, link in links.items()}
        assert pages == {"prev": "1", "next": "3", "last": "3", "first": "1"}
        assert not (await probe.rest("GET", RUNNERS)).links


async def test_one_page_fails() -> None:
    async with probed(ready=False) as (sim, probe):
        for number in range(5):
            await register(probe, f"r{number}")
        sim.faults.add("rest-runners", status=502, contains="&page=2")
        with pytest.raises(httpx.HTTPStatusError, match="502"):
            await turn(probe)
        assert len((await turn(probe))[0]) == 5


async def test_runner_groups() -> None:
    async with probed(ready=False) as (sim, probe):
        sim.add_scope("enterprises/big")
        group = sim.add_runner_group("gpu")
        for path in ("/orgs/acme", "/enterprises/big"):
            answer = await probe.rest("GET", f"{path}/actions/runner-groups?per_page=1&page=2")
            assert answer.json()["total_count"] == 2
            [shown] = answer.json()["runner_groups"]
            assert (shown["id"], shown["name"], shown["default"]) == (group, "gpu", False)
        answer = await probe.rest("GET", "/repos/acme/widgets/actions/runner-groups")
        assert answer.status_code == 404
        base = "/repos/acme/widgets/actions/runners"
        assert (await register(probe, "a", group=group, base=base)).status_code == 404
        assert (await register(probe, "a", base=base)).status_code == 201
        assert (await register(probe, "b", group=group)).status_code == 201
        for status in (403, 404):
            sim.close_runner_group(group, status)
            assert (await register(probe, "c", group=group)).status_code == status
        assert (await register(probe, "d")).status_code == 201
        sim.close_runner_group(group, None)
        assert (await register(probe, "c", group=group)).status_code == 201


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_one_label_fails_and_the_others_are_there(failing: int) -> None:
    async with probed(ready=False) as (sim, probe):
        number = (await register(probe, "r", "x")).json()["runner"]["id"]
        path = f"{RUNNERS}/{number}/labels"
        wanted = ["reserved-for:1", "reserved-since:2", "reserved-by:a"]
        sim.options.fail_labels = [failing]
        answer = await probe.rest("POST", path, body={"labels": wanted})
        assert answer.status_code == 500
        bad = wanted[failing - 1]
        assert answer.json()["message"] == f"Failed to create label: {bad}"
        shown = [label["name"] for label in (await probe.rest("GET", path)).json()["labels"]]
        assert shown == ["x", *(label for label in wanted if label != bad)]
        answer = await probe.rest("POST", path, body={"labels": wanted})
        assert (answer.status_code, answer.json()["total_count"]) == (200, 4)


async def test_labels_of_a_busy_runner_can_be_read() -> None:
    async with probed(ready=False) as (sim, probe):
        number = (await register(probe, "r", "x")).json()["runner"]["id"]
        sim.bring_online("r")
        [job] = sim.queue_jobs(labels=["x"])
        assert job.state == "running"
        answer = await probe.rest("GET", f"{RUNNERS}/{number}/labels")
        assert [label["name"] for label in answer.json()["labels"]] == ["x"]


@pytest.mark.parametrize("labels", [[], ["x"] * 101, [""], ["y" * 257], [7], "x"])
async def test_label_bounds(labels: Any) -> None:
    async with probed(ready=False) as (_, probe):
        number = (await register(probe, "r")).json()["runner"]["id"]
        path = f"{RUNNERS}/{number}/labels"
        assert (await probe.rest("POST", path, body={"labels": labels})).status_code == 422
        full = [f"l{number}" for number in range(100)]
        assert (await probe.rest("POST", path, body={"labels": full})).status_code == 200
