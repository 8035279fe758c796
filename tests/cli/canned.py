"""Answers of a scaler."""

from __future__ import annotations

from typing import Any

from tests.cli.fake import NOW


def problem(about: str, text: str, cure: str = "", *, order: bool = False) -> dict[str, Any]:
    return {"about": about, "text": text, "cure": cure, "order": order}


def profile(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "source": "queue",
        "provisioners": ["hosts"],
        "target_count": 1,
        "max_count": 8,
        "demand": 0,
        "waiting": 0,
        "target": 1,
        "ceiling": 8,
        "counts": {},
        "paused": None,
        "leaving": False,
        "why": "",
        "cure": "",
        **changes,
    }


def room(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "plugin": "hosts",
        "name": name,
        "state": "up",
        "drained": None,
        "total": {"memory": 32 << 30, "vcpus": 16},
        "used": {"memory": 8 << 30, "vcpus": 4},
        "runners": 0,
        "machines": 0,
        "refuses": {},
        **changes,
    }


def runner(number: int, state: str = "idle", **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"linux.{number}@try",
        "profile": "linux",
        "state": state,
        "reason": "",
        "since": NOW - 192,
        "created": NOW - 7500,
        "until": None,
        "room": "vm1",
        "provisioner": "hosts",
        "job": "",
        "reserved_for": "",
        "machine": "5b",
        "addresses": [],
        **changes,
    }


def job(number: int, state: str = "assigned", **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "profile": "linux",
        "name": "build",
        "state": state,
        "runner": "",
        "queued": NOW - 75,
        "why": "no room has 8G of memory left",
        "cure": "",
        "repository": "acme/widgets",
        "workflow": "ci",
        "run_id": "9",
        "url": "",
        **changes,
    }


def status(**changes: Any) -> dict[str, Any]:
    return {
        "scaler": "try",
        "running": True,
        "version": "0.1.0",
        "pid": 7,
        "started": NOW - 270_000,
        "time": NOW,
        "as_of": NOW,
        "stopping": False,
        "ok": True,
        "problems": [],
        "profiles": [profile("linux", counts={"idle": 1})],
        "rooms": [room("vm1", runners=1, machines=1)],
        "runners": [runner(1)],
        "jobs": [],
        "plugins": [],
        "orders": [],
        "override": None,
        "restart": [],
        "reload": None,
        **changes,
    }


NIGHT = status(
    ok=False,
    problems=[
        problem("profile linux", "no room has 8G of memory left", "add a host, or lower memory"),
        problem("plugin github", "the token was refused (401)"),
        problem("profile large", "paused since 17:20 UTC", "scaler resume large", order=True),
    ],
    profiles=[
        profile("linux", demand=5, target=5, why="no room has 8G of memory left",
                counts={"busy": 2, "idle": 1, "booting": 1, "held": 1}),
        profile("large", paused={"since": NOW - 3200, "by": "root"}, target=0),
    ],
    rooms=[
        room("vm1", runners=4, machines=5),
        room("vm2", drained={"since": NOW - 65, "by": "ada"}, state="draining", used={}),
        room("vm3", state="down", used={}),
    ],
    runners=[
        runner(1),
        runner(2, "busy", job="1001", since=NOW - 10),
        runner(3, "busy", job="1002", since=NOW - 4000),
        runner(4, "booting", reason="its machine exists"),
        runner(5, "held", job="990", reason="its job failed", until=NOW + 600),
    ],
    jobs=[
        job(1001, "running", runner="linux.2@try", why=""),
        job(1002, "running", name="test", runner="linux.3@try", why=""),
        job(1003, queued=NOW - 30),
        job(1004, queued=NOW - 400, name="test-wpt"),
    ],
)  # fmt: skip
