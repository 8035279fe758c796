"""The endpoints before a real core, with a source and a provisioner that live in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from scaler import (
    Machine,
    Message,
    Refused,
    Registration,
    Reservation,
    Runner,
    Running,
    Secret,
    Selection,
    SelectionRequest,
    hookimpl,
    load_settings,
    serve,
)

from .fakes import PNG, TOKEN, UNIQUE, WHO

OTHER = "0e6f5c0a-1111-4222-8333-444455556666"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SETTINGS = """
[scaler]
name = "here"
state_dir = "{folder}/state"

[plugins.toy]
[plugins.monitor]
listen = ["127.0.0.1:0"]
token = {{ env = "MONITOR_TOKEN" }}
external_base_url = "https://ci.example.org"

[profiles.linux]
labels = ["self-hosted-image:linux"]
target_count = 3
max_count = 4
boot_script = "boot.sh"
[profiles.linux.toy]
"""


class Toy:
    """Source and provisioner: machines come online at once, and every runner can be reserved."""

    @dataclass(frozen=True)
    class Config:
        """Nothing to set."""

        screenshot_interval: float = field(default=3600.0)

    @dataclass(frozen=True)
    class ProfileConfig:
        """Nothing to set."""

    last: Toy

    def __init__(self, context: Any) -> None:
        type(self).last = self
        self.context = context
        self.runners: dict[str, Runner] = {}
        self.labels: dict[str, Reservation | None] = {}

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await self.context.deliver(Message(id="1", profile="linux", demand=0))
        self.context.report("polled", profile="linux")
        await self.context.stopping.wait()

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.runners[runner.name] = runner
        config = Secret(f"the config of {runner.name}")
        return Registration(name=runner.name, ref=str(runner.id), config=config)

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        self.runners.pop(runner.name, None)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        return [self.online(name) for name in self.runners]

    @staticmethod
    def online(name: str) -> Registration:
        return Registration(name=name, online=not name.startswith("linux.3@"), busy=False)

    @hookimpl
    async def reserve_runner(self, runner: Runner, reservation: Reservation | None) -> None:
        self.labels[runner.name] = reservation

    @hookimpl
    async def provision_runner(self, runner: Runner) -> Machine:
        self.context.registration_changed(self.online(runner.name))
        return self.machine(runner)

    @staticmethod
    def machine(runner: Runner) -> Machine:
        address = "127.0.0.1" if runner.id == 3 else f"10.0.0.{runner.id}"
        return Machine(runner=runner.id, id=f"toy-{runner.id}", addresses=(address,))

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        del runner

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [self.machine(runner) for runner in self.runners.values()]

    @hookimpl
    async def screenshot(self, machine: Machine) -> bytes:
        return PNG + machine.id.encode()

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection:
        if request.qualified_repo != "acme/widget":
            raise Refused("repo-not-allowed", "only acme/widget")
        return Selection(profile="linux", count=2)


@asynccontextmanager
async def scaler(folder: Path) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    (folder / "boot.sh").write_text("#!/bin/sh\n")
    path = folder / "scaler.toml"
    path.write_text(SETTINGS.format(folder=folder))
    settings, loaded = load_settings(path, extra={"toy": Toy})
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(serve, settings, loaded)
        try:
            url = await until(running, lambda: address(running))
            await until(running, lambda: idle(running) == 2)
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                yield running, client
        finally:
            running.stop()


async def until(running: Running, what: Callable[[], Any]) -> Any:
    with trio.fail_after(8):
        while not (found := what()):
            await running.next_view(running.view())
    return found


def address(running: Running) -> str:
    told = [each.facts for each in running.view().reports if each.plugin == "monitor"]
    return next((each["addresses"][0] for each in told if each.get("addresses")), "")


def idle(running: Running) -> int:
    return sum(each.state == "idle" for each in running.view().runners)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_TOKEN", TOKEN)


def who(unique_id: str, **more: str) -> dict[str, str]:
    return {"unique_id": unique_id, "qualified_repo": "acme/widget", "run_id": "42", **more}


async def test_d4_the_same_again_gets_the_same_also_after_a_restart(tmp_path: Path) -> None:
    async with scaler(tmp_path) as (_, client):
        first = await client.post(f"/profile/linux/take?{WHO}", headers=BEARER)
        taken = first.json()
        assert taken["runner"]["status"] == "Reserved"
        assert taken["screenshot_url"] == f"https://ci.example.org/runner/{taken['id']}/screenshot"
        assert (await client.post(f"/profile/linux/take?{WHO}", headers=BEARER)).json() == taken
        several = await client.post(f"/profile/linux/take/1?{WHO}", headers=BEARER)
        assert several.json() == [taken]
        for path, query in (
            ("/profile/linux/take/2", who(UNIQUE)),
            ("/profile/linux/take", who(UNIQUE, run_id="43")),
            ("/profile/linux/take", who(UNIQUE, qualified_repo="acme/other")),
        ):
            other = await client.post(path, params=query, headers=BEARER)
            assert (other.status_code, other.json()["error"]) == (409, "unique-id-used")
        more = await client.post("/profile/linux/take/4", params=who(OTHER), headers=BEARER)
        assert more.json() is None
        much = await client.post("/profile/linux/take/5", params=who(OTHER), headers=BEARER)
        assert (much.status_code, much.json()["error"]) == (413, "too-many")
        none = await client.post("/profile/nope/take", params=who(OTHER), headers=BEARER)
        assert (none.status_code, none.json()["error"]) == (404, "unknown-profile")
        late = await client.post(
            "/profile/linux/take/4", params=who(OTHER, wait="100ms"), headers=BEARER
        )
        assert late.status_code == 503
        assert late.headers["Retry-After"]
    settings, loaded = load_settings(tmp_path / "scaler.toml", extra={"toy": Toy})
    async with trio.open_nursery() as nursery:
        again: Running = await nursery.start(serve, settings, loaded)
        url = await until(again, lambda: address(again))
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answer = await client.post(f"/profile/linux/take?{WHO}", headers=BEARER)
            assert answer.json() == taken
        again.stop()


async def test_selecting(tmp_path: Path) -> None:
    async with scaler(tmp_path) as (_, client):
        no = await client.post("/select-runner", params=who(UNIQUE, qualified_repo="evil/widget"))
        assert (no.status_code, no.json()["error"]) == (403, "repo-not-allowed")
        yes = await client.post(f"/select-runner?{WHO}")
        assert len(yes.json()) == 2
        assert (await client.post(f"/select-runner?{WHO}")).json() == yes.json()
        assert (await client.post("/select-runner", params=who(OTHER))).json() is None


async def test_d19_a_guest_and_its_config(tmp_path: Path) -> None:
    async with scaler(tmp_path) as (_, client):
        assert (await client.get("/boot")).text == "#!/bin/sh\n"
        config = await client.get("/github-jitconfig")
        assert config.json() == "the config of linux.3@here"
        assert (await client.get("/github-jitconfig")).json() == config.json()  # a retry
        unknown = await client.get("/boot?key=nobody")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown-guest")


async def test_an_override_from_begin_to_end(tmp_path: Path) -> None:
    async with scaler(tmp_path) as (_, client):
        path = "/policy/override"
        none = await client.post(f"{path}?linux=2", headers=BEARER)
        assert (none.status_code, none.json()["error"]) == (409, "override-idle")
        begun = await client.post(f"{path}?linux=5", headers=BEARER)
        assert begun.json() == {"linux": 2}
        assert (await client.get(path)).json() == {"linux": 2}
        twice = await client.post(f"{path}?linux=5", headers=BEARER)
        assert (twice.status_code, twice.json()["error"]) == (409, "override-active")
        assert (await client.delete(path, headers=BEARER)).json() == {"linux": 2}
        assert (await client.get(path)).json() is None
        assert (await client.delete(path, headers=BEARER)).json() is None


async def test_pictures(tmp_path: Path) -> None:
    async with scaler(tmp_path) as (_, client):
        now = await client.get("/runner/1/screenshot/now")
        assert now.content == PNG + b"toy-1"
        last = await client.get("/runner/1/screenshot.png")
        assert (last.content, last.headers["ETag"]) == (now.content, now.headers["ETag"])
        known = {"If-None-Match": now.headers["ETag"]}
        assert (await client.get("/runner/1/screenshot", headers=known)).status_code == 304
        assert (await client.get("/runner/77/screenshot/now")).status_code == 404
        assert (await client.get("/profile/linux/screenshot.png")).status_code == 404


async def test_the_last_screen_of_an_image_that_could_not_be_made(tmp_path: Path) -> None:
    """What was kept of a build that failed is shown, also after a restart, until one succeeds."""
    async with scaler(tmp_path) as (running, client):
        toy = Toy.last
        assert await toy.context.keep("linux", "screenshot.png", PNG + b"the last screen")
        assert await toy.context.keep("linux", "reason.txt", b"it gave up")
        toy.context.report("image 2: it gave up", ok=False, profile="linux", images=[])
        picture = await client.get("/profile/linux/screenshot.png")
        assert picture.content == PNG + b"the last screen"
        told = (await client.get("/dashboard.json")).json()
        assert sorted(told["profiles"]["linux"]["kept"]) == ["reason.txt", "screenshot.png"]
        page = (await client.get("/dashboard.html")).text
        assert "image 2: it gave up" in page
        assert 'src="profile/linux/screenshot.png?v=' in page
        del running
    async with scaler(tmp_path) as (_, client):
        again = await client.get("/profile/linux/screenshot.png")
        assert again.headers["ETag"] == picture.headers["ETag"]
        await Toy.last.context.keep("linux", "screenshot.png", b"")
        gone = await client.get("/profile/linux/screenshot.png")
        assert (gone.status_code, gone.json()["error"]) == (404, "no-picture")


async def test_what_happened_is_counted(tmp_path: Path) -> None:
    async with scaler(tmp_path) as (_, client):
        with trio.fail_after(5):
            while True:
                text = (await client.get("/metrics")).text
                if 'scaler_runner_transitions_total{profile="linux",state="idle"} 2.0' in text:
                    break
                await trio.sleep(0.05)  # hooks are told beside
        assert 'gha_idle_runners{profile="linux"} 2.0' in text
        assert 'scaler_runner_startup_seconds_count{profile="linux"} 2.0' in text
