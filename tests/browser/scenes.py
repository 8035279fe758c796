"""What the dashboard is looked at with: a scaler as it may be on a working day."""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import replace
from typing import Any

from scaler import (
    Event,
    Job,
    Kept,
    Machine,
    Override,
    Panel,
    Picture,
    Profile,
    ProfileView,
    Registration,
    Report,
    Reservation,
    Room,
    RoomState,
    Runner,
    RunnerState,
    View,
)

GIB = 1 << 30
NOW = time.time()
CRASHED = "its machine stopped: its system crashed"


def profile(name: str, target: int, most: int, *, source: str = "actions-queue") -> Profile:
    return Profile(
        name=name,
        labels=(f"self-hosted-image:{name}",),
        target_count=target,
        max_count=most,
        source=source,
        provisioners=("libvirt",),
    )


PROFILES = {
    "linux": profile("linux", 2, 8),
    "windows": profile("windows", 1, 4),
    "bench": profile("bench", 1, 1, source="github"),
}


def runner(number: int, name: str, state: RunnerState, age: float, **more: Any) -> Runner:
    room, facts = more.pop("room", "vm1"), more.pop("facts", {})
    address = f"192.168.100.{number % 250 + 2}"
    machine = Machine(
        runner=number,
        id=f"{name}.{number}",
        room=room,
        profile=name,
        addresses=(address,),
        facts=facts,
    )
    return Runner(
        **{
            "id": number,
            "name": f"{name}.{number}@host-1",
            "profile": name,
            "state": state,
            "created": NOW - age - 70,
            "since": NOW - age,
            "source": PROFILES[name].source,
            "provisioner": "libvirt",
            "room": room,
            "resources": {"memory": 4 * GIB, "vcpus": 2},
            "registration": Registration(name=f"{name}.{number}@host-1", ref=str(number)),
            "machine": machine,
            **more,
        }
    )


def job(number: int, name: str, what: str, repository: str, **more: Any) -> Job:
    run = 7_100_000_000 + number
    return Job(
        **{
            "id": str(number),
            "profile": name,
            "state": "running",
            "name": what,
            "workflow": "CI",
            "repository": repository,
            "run_id": str(run),
            "labels": (name, f"self-hosted-image:{name}"),
            "url": f"https://github.com/{repository}/actions/runs/{run}",
            **more,
        }
    )


def calm() -> View:
    """All is well, with a job or two in hand."""
    jobs = (
        job(41, "linux", "build (stable)", "acme/engine"),
        job(42, "linux", "test (integration)", "acme/engine"),
        job(43, "windows", "package", "acme/installer"),
        job(44, "bench", "measure main", "acme/engine"),
    )
    reservation = Reservation(
        unique_id="3f2b9a52-53c1-4bd0-9f0a-6a0f5f5f7c11",
        qualified_repo="acme/engine",
        run_id="7100000044",
        since=NOW - 75,
    )
    runners = (
        runner(17, "linux", RunnerState.BUSY, 642, job="41"),
        runner(18, "linux", RunnerState.BUSY, 188, job="42"),
        runner(19, "linux", RunnerState.IDLE, 95),
        runner(20, "linux", RunnerState.BOOTING, 21),
        runner(12, "windows", RunnerState.BUSY, 1904, job="43", room="vm2"),
        runner(13, "windows", RunnerState.IDLE, 320, room="vm2"),
        runner(9, "bench", RunnerState.RESERVED, 75, reservation=reservation, room="vm2"),
    )
    return assemble(
        runners, jobs, demand={"linux": 2, "windows": 1}, targets={"linux": 4, "windows": 2}
    )


def held() -> View:
    """Jobs wait since there is no room, one host is draining, and a token expires soon."""
    before = calm()
    names = ("test (unit)", "test (e2e)", "lint", "build (nightly)")
    waiting = tuple(
        job(
            50 + number,
            "linux",
            name,
            "acme/engine" if number % 2 else "acme/site",
            state="assigned",
            queued=NOW - 381 + 80 * number,
        )
        for number, name in enumerate(names)
    )
    why = "no room: vm1 lacks memory (2.0 GiB of 4.0 GiB); vm2 is draining"
    windows = before.profiles["windows"]
    profiles = {
        **before.profiles,
        "linux": replace(before.profiles["linux"], demand=6, target=8, ceiling=4, why=why),
        "windows": replace(windows, counts={**windows.counts, RunnerState.HELD: 1}),
    }
    vm1, _ = before.rooms["libvirt"]
    vm2 = Room(name="vm2", total={"memory": 32 * GIB, "vcpus": 8}, state=RoomState.DRAINING)
    override = Override(
        counts={"bench": 1},
        targets={"linux": 8, "windows": 2, "bench": 2},
        since=NOW - 900,
        until=NOW + 9000,
        by="10.1.0.7",
    )
    failed = runner(
        15,
        "windows",
        RunnerState.HELD,
        2205,
        reason="its job ended: failed",
        room="vm2",
        failed=True,
        result="failed",
        until=NOW + 1395,
        facts={"domain": "windows.15@host-1", "pool": "default"},
    )
    return replace(
        before,
        version=before.version + 1,
        profiles=profiles,
        jobs=before.jobs + waiting,
        waiting={("linux", each.id): why for each in waiting},
        rooms={"libvirt": (vm1, vm2)},
        override=override,
        runners=(*before.runners, failed),
        events=(
            Event(
                time=NOW - 4180,
                text=f"linux.8@host-1 is retiring: {CRASHED}",
                profile="linux",
                runner=8,
            ),
            Event(time=NOW - 900, text="an override began", profile="bench"),
            *before.events,
        ),
    )


def failing() -> View:
    """Images cannot be made, machines stand still, and rooms refuse."""
    before = held()
    full = "pool default has less than 1 GiB left: virsh pool-info default tells how much"
    space = "it stands still: the host has no space for what it writes to its disk"
    refuses = {"windows": full, "bench": full, "linux": "its image is being tried, since 14:02"}
    rooms = (
        Room(name="vm1", total={"memory": 18 * GIB, "vcpus": 16}, refuses=refuses),
        Room(name="vm2", total={"memory": 32 * GIB, "vcpus": 8}, state=RoomState.DRAINING),
        Room(name="vm3", total={"memory": 64 * GIB, "vcpus": 32}, state=RoomState.DOWN),
    )
    why = (
        "vm1: image 4 of yesterday; image 5 at 13:40: the smoke test's machine asked for no script "
        "within 10 min; next try at 14:40"
    )
    building = {"host": "vm1", "building": {"machine": "build-linux", "began": NOW - 700}}
    images = {
        "windows": replace(
            report("libvirt", "windows", why, image_age=86_000.0, images=[]), ok=False
        ),
        "linux": report("libvirt", "linux", "vm1: no image yet", images=[building]),
    }
    reports = tuple(
        images.get(each.profile, each) if each.plugin == "libvirt" else each
        for each in before.reports
    )
    still = runner(31, "linux", RunnerState.BUSY, 2000, job="41", facts={"paused": space})
    builders = (
        Machine(
            runner=None, id="build-linux", profile="linux", room="vm1", facts={"role": "builder"}
        ),
        Machine(
            runner=None,
            id="try-bench",
            profile="bench",
            room="vm2",
            facts={"role": "smoke", "paused": "it stands still: someone paused it"},
        ),
    )
    return replace(
        before,
        version=before.version + 1,
        rooms={"libvirt": rooms},
        reports=reports,
        runners=(*before.runners, still),
        builders=builders,
    )


def assemble(
    runners: tuple[Runner, ...],
    jobs: tuple[Job, ...],
    *,
    demand: dict[str, int],
    targets: dict[str, int],
) -> View:
    counts: dict[str, dict[str, int]] = {name: {} for name in PROFILES}
    for each in runners:
        counts[each.profile][each.state] = counts[each.profile].get(each.state, 0) + 1
    limits = {"core": {"limit": 5000, "remaining": 4312, "resets_at": NOW + 1500, "reserve": 500}}
    return View(
        version=100,
        time=NOW,
        scaler="host-1",
        stopping=False,
        profiles={
            name: ProfileView(
                profile=each,
                demand=demand.get(name, 0),
                target=targets.get(name, each.target_count),
                ceiling=each.max_count,
                counts=counts[name],
            )
            for name, each in PROFILES.items()
        },
        jobs=jobs,
        runners=runners,
        rooms={
            "libvirt": (
                Room(name="vm1", total={"memory": 18 * GIB, "vcpus": 16}),
                Room(name="vm2", total={"memory": 32 * GIB, "vcpus": 8}),
            )
        },
        reports=(
            report("actions-queue", "linux", "listening", last_poll=NOW - 12),
            report("actions-queue", "windows", "listening", last_poll=NOW - 31),
            report("acquirable-jobs", "linux", "looks every 60 s", last_look=NOW - 40),
            report(
                "github",
                "",
                "https://github.com/acme, by a GitHub App",
                connections={"default": {"rate_limits": limits}},
            ),
            report("libvirt", "", "vm1 up; vm2 up"),
            report("libvirt", "linux", "image jammy", image_age=93_000.0),
            report("libvirt", "windows", "image server-2022", image_age=612_000.0),
            report("monitor", "", "serves http://127.0.0.1:8000"),
        ),
        waiting={},
        events=(
            Event(time=NOW - 642, text="busy: build (stable)", profile="linux", runner=17),
            Event(time=NOW - 188, text="busy: test (integration)", profile="linux", runner=18),
            Event(time=NOW - 95, text="idle: it is online", profile="linux", runner=19),
            Event(time=NOW - 75, text="reserved for acme/engine", profile="bench", runner=9),
            Event(time=NOW - 21, text="booting: its machine exists", profile="linux", runner=20),
        ),
        builders=(
            Machine(
                runner=None,
                id="build-linux",
                profile="linux",
                room="vm2",
                facts={"role": "builder"},
            ),
        ),
    )


def evidence() -> dict[int | str, tuple[Kept, ...]]:
    """What was kept of a runner that is held, of one that is gone, and of an image."""
    of_runners = ("reason.txt", "events.txt", "screenshot.png", "serial.log")

    def kept(*names: str) -> tuple[Kept, ...]:
        return tuple(Kept(name=name, size=2048, time=NOW - 60) for name in names)

    return {
        8: kept(*of_runners),
        15: kept("events.txt", "reason.txt"),
        "windows": kept("reason.txt", "serial.log", "screenshot.png"),
    }


def report(plugin: str, profile: str, text: str, **facts: Any) -> Report:
    return Report(plugin=plugin, profile=profile, ok=True, text=text, time=NOW - 12, facts=facts)


PANELS: dict[str, Panel | None] = {
    "libvirt": Panel(
        title="Hypervisors",
        data={"libvirt": "11.3.0", "generation": 7},
        html="<table><tr><th>host</th><th>guests</th></tr><tr><td>vm1</td><td>4</td></tr></table>",
    ),
    "acquirable-jobs": Panel(title="Acquirable jobs", data={"found since the start": 3}),
}


def picture(seed: int, taken: float = NOW) -> Picture:
    """A terminal with some lines, drawn without a library for it."""
    width, height = 320, 200
    rows = []
    for y in range(height):
        line = y // 10
        length = 20 + (line * 53 + seed * 31) % 220
        ink = 2 <= y % 10 <= 6 and line < 6 + seed % 13
        row = bytearray(b"\x10\x14\x1c" * width)
        for x in range(8, length):
            if ink and (x * 7 + line * 11 + y % 2) % 9 > 2:
                row[3 * x : 3 * x + 3] = b"\x7e\xd3\x9a" if line % 4 == 0 else b"\xc9\xd1\xd9"
        rows.append(b"\0" + bytes(row))
    png = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    ):
        png += struct.pack(">I", len(data)) + kind + data
        png += struct.pack(">I", zlib.crc32(kind + data))
    return Picture(png=png, time=taken, etag=f"picture-{seed}")


def pictures() -> dict[int | str, Picture]:
    """Of most runners, and of the builder."""
    return {
        **{number: picture(number) for number in (9, 12, 13, 17, 18, 19)},
        "linux": picture(3),
        "windows": picture(6),
    }
