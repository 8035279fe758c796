"""D10: GitHub's redirect, whatever it names; no credential ever reaches the other host."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Context, Profile, SecretSource, SelectionRequest
from scaler_github.connection import GitHub
from scaler_github.selecting import ArtifactSelect
from scaler_github.testing import Simulator

World = Any
UNIQUE = "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11"
ORIGIN, BLOBS = "http://127.0.0.1:8", "http://127.0.0.1:9"


def hosts(world: World) -> list[tuple[str, bool]]:
    """Who was asked, and whether with a credential."""
    return [
        (f"{each.url.scheme}://{each.url.netloc.decode()}", "authorization" in each.headers)
        for each in world.wire.sent
    ]


async def test_d10_the_archive_is_fetched_without_a_credential(
    world: World, autojump_clock: MockClock
) -> None:
    world.prove()
    await world.ask()
    assert hosts(world) == [(ORIGIN, True), (ORIGIN, True), (BLOBS, False)]
    sent = world.wire.sent[-1]
    assert set(sent.headers) == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    "location",
    [
        "http://192.0.2.1/x",
        "http://10.0.0.1/x",
        "http://evil.example/x",
        "https://evil.example/x",
        "http://127.0.0.1.evil.example/x",
        "http://user@127.0.0.1:9/x",
        "http://169.254.169.254/latest/meta-data",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "/x",
        "",
        "http://",
        "http://[::ffff:10.0.0.1]/",
        "http://127.0.0.1:99999/x",
    ],
    ids=range(14),
)
async def test_d10_other_places_are_not_asked(
    world: World, location: str, autojump_clock: MockClock
) -> None:
    world.prove()
    world.sim.faults.add("artifact-zip", status=302, body=b"", headers={"location": location})
    assert await world.no() == "artifact-elsewhere"
    assert hosts(world) == [(ORIGIN, True), (ORIGIN, True)]


async def test_d10_without_a_location(world: World, autojump_clock: MockClock) -> None:
    world.prove()
    world.sim.faults.add("artifact-zip", status=302, body=b"")
    assert await world.no() == "artifact-elsewhere"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", [f"{BLOBS}/loop", f"{ORIGIN}/api/v3/user"])
async def test_d10_a_second_redirect_is_not_followed(
    world: World, status: int, where: str, autojump_clock: MockClock
) -> None:
    world.prove()
    world.sim.faults.add("blob", status=status, body=b"", headers={"location": where})
    assert await world.no() == "artifact-elsewhere"
    assert len(world.wire.sent) == 3
    assert hosts(world)[-1] == (BLOBS, False)


async def test_d10_back_to_the_api_goes_without_a_credential_too(
    world: World, autojump_clock: MockClock
) -> None:
    artifact = world.prove()
    artifact.location = f"{ORIGIN}/api/v3/user"
    world.sim.faults.add("user", status=200, body=b"{}")
    assert await world.no() == "artifact-digest"
    assert hosts(world)[-1] == (ORIGIN, False)


async def test_d10_the_address_in_the_list_is_not_used(
    world: World, autojump_clock: MockClock
) -> None:
    artifact = world.prove()
    entry = {
        "id": artifact.id,
        "name": artifact.name,
        "size_in_bytes": artifact.size,
        "expired": False,
        "created_at": "2027-01-15T08:00:00Z",
        "url": "http://evil.example/",
        "archive_download_url": "http://evil.example/zip",
    }
    world.sim.faults.add("run-artifacts", fields={"artifacts": [entry]})
    await world.ask()
    assert {host for host, _ in hosts(world)} == {ORIGIN, BLOBS}


@pytest.mark.parametrize("number", [-1, 0, 2**63 - 1])
async def test_d10_odd_numbers_stay_in_their_place(
    world: World, number: int, autojump_clock: MockClock
) -> None:
    artifact = world.prove()
    entry = {"id": number, "name": artifact.name, "size_in_bytes": 9, "expired": False}
    dated = {**entry, "created_at": "2027-01-15T08:00:00Z"}
    world.sim.faults.add("run-artifacts", fields={"artifacts": [dated]})
    assert await world.no() == "artifact-expired"
    assert world.wire.sent[-1].url.path.endswith(f"/actions/artifacts/{number}/zip")


@pytest.mark.parametrize("size", [0, -1, 16385, 10**15])
async def test_d9_what_says_that_it_is_large_is_not_fetched(
    world: World, size: int, autojump_clock: MockClock
) -> None:
    world.prove().size = size
    assert await world.no() == "artifact-too-large"
    assert world.sim.count("artifact-zip") == 0


async def test_d9_what_is_larger_than_it_says_is_not_read(
    world: World, autojump_clock: MockClock
) -> None:
    artifact = world.prove()
    artifact.archive += bytes(70_000)
    assert await world.no() == "artifact-too-large"


async def test_d9_another_digest(world: World, autojump_clock: MockClock) -> None:
    artifact = world.prove()
    artifact.digest = f"sha256:{'0' * 64}"
    assert await world.no() == "artifact-digest"
    artifact.digest = None
    world.build()
    await world.ask()


# --- over real sockets -----------------------------------------------------------------


class Core:
    """A sibling, and nobody to tell."""

    def __init__(self) -> None:
        self.github: Any = None

    def sibling(self, plugin: str, cls: type[Any]) -> Any:
        return self.github


@pytest.fixture
async def live(nursery: trio.Nursery, tmp_path: Path) -> AsyncIterator[tuple[Any, Simulator]]:
    sim = Simulator()
    await nursery.start(sim.serve)
    core = Core()

    def context(name: str, config: Any) -> Context[Any, Any]:
        return Context(
            name=name,
            scaler="host-1",
            config=config,
            profiles={"linux": Profile(name="linux")},
            own={},
            folder=tmp_path,
            log=logging.LoggerAdapter(logging.getLogger(f"test.{name}")),
            stopping=trio.Event(),
            core=core,  # type: ignore[arg-type]
        )

    token = SecretSource(env="TOKEN", environ={"TOKEN": sim.token})
    core.github = GitHub(context("github", GitHub.Config(url=sim.url, token=token)))
    settings = ArtifactSelect.Config(allowed_repos=("acme/*",))
    yield ArtifactSelect(context("artifact-select", settings)), sim
    nursery.cancel_scope.cancel()


async def test_d10_over_the_network(live: tuple[Any, Simulator]) -> None:
    select, sim = live
    [job] = sim.queue_jobs("linux")
    sim.add_proof(job, UNIQUE, "linux", 2)
    request = SelectionRequest(
        unique_id=UNIQUE, qualified_repo=job.repository, run_id=str(job.run_id)
    )
    with trio.fail_after(10):
        found = await select.select_runner(request)
    assert (found.profile, found.count) == ("linux", 2)
    seen = [(each.route, each.auth, each.status) for each in sim.history.exchanges]
    assert seen == [
        ("run-artifacts", "Bearer", 200),
        ("artifact-zip", "Bearer", 302),
        ("blob", "", 200),
    ]
    assert sim._site.blob_origin != sim.origin
