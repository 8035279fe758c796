"""What the page says of machines and images, and of what failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scaler import Event, Machine, Report, Room, RoomState, RunnerState
from scaler_monitor.page.remains import Ended, Remains
from scaler_monitor.page.scene import Beside, Shot, chosen

from .reading import Reader, busy, fragment
from .views import NOW, WELL, profile, view


def test_a_runner_that_is_held_says_until_when_and_where_it_is() -> None:
    facts = {"domain": "linux.7@here", "pool": "default", "volumes": "a.disk, a.log"}
    held = busy(state=RunnerState.HELD, until=NOW + 780, failed=True,
                machine=Machine(runner=7, id="m", room="vm1", facts=facts))  # fmt: skip
    part = fragment(view(runners=(held,))).parts["runners"]
    text = Reader(part).text
    assert "held for a person until 03:59 UTC, in 13 min" in text
    assert "domain linux.7@herepool defaultvolumes a.disk, a.log" in text
    assert f'data-until="{NOW + 780:.0f}"' in part
    late = replace(held, until=NOW + 90_000)
    text = Reader(fragment(view(runners=(late,))).parts["runners"]).text
    assert "held for a person until 1970-01-03 04:46 UTC, in 1 d 1 h" in text
    over = Reader(fragment(view(runners=(replace(held, until=NOW - 1),))).parts["runners"]).text
    assert "until 03:46 UTC, now" in over


def test_where_a_machine_is_is_told_of_those_that_are_held_alone() -> None:
    at_work = busy(machine=Machine(runner=7, id="m", facts={"domain": "the domain"}))
    assert "the domain" not in fragment(view(runners=(at_work,))).parts["runners"]


def test_a_machine_that_stands_still_comes_first_and_says_why() -> None:
    still = Machine(runner=9, id="m", facts={"paused": "the host has no space"})
    runners = (busy(7, state=RunnerState.HELD), busy(8), busy(9, machine=still))
    shown = view(runners=runners)
    assert [each.id for each in chosen(shown)] == [9, 7, 8]
    assert "the host has no space" in Reader(fragment(shown).parts["runners"]).text


def test_what_failed_and_what_was_kept_of_it() -> None:
    def failed(number: int, *kept: str) -> Ended:
        return Ended(id=number, name=f"linux.{number}@here", profile="linux", time=NOW - 60,
                      why="its system crashed", kept=kept)  # fmt: skip

    assert "hidden" in fragment(view()).parts["failed"]
    remains = Remains(failed=(failed(7, "reason.txt", "serial.log"), failed(6)))
    part = fragment(view(), Beside(remains=remains)).parts["failed"]
    assert "hidden" not in part
    text = Reader(part).text
    assert "linux.7 03:45:40 UTC its system crashed kept: reason.txt, serial.log" in text
    assert "its system crashed nothing was kept of it" in text
    assert "href" not in part, "the files are not for whoever sees the page"


def image(*, ok: bool = True, **facts: Any) -> Report:
    text = "vm1: image 3 of 09:12; image 4 at 14:02: it gave up"
    return Report(plugin="libvirt", profile="linux", ok=ok, text=text, time=NOW, facts=facts)


def test_an_image_that_could_not_be_made() -> None:
    def told(report: Report, beside: Beside) -> str:
        shown = view(reports=(*WELL.reports, report))
        return Reader(fragment(shown, beside).parts["profiles"]).text

    kept = Remains(profiles={"linux": ("reason.txt", "screenshot.png")})
    beside = Beside(remains=kept, shots={"linux": Shot(time=NOW, version="v")})
    failed = told(image(ok=False, image_age=60, images=[]), beside)
    assert "image03:45:40 UTC" in failed
    assert "Image: vm1: image 3 of 09:12; image 4 at 14:02: it gave up" in failed
    assert "kept: reason.txt, screenshot.png" in failed
    well = told(image(image_age=60, images=[]), beside)
    assert "image03:45:40 UTC" in well
    assert "gave up" not in well
    assert "imagenone yet" in told(image(images=[]), Beside())
    assert "image0" not in told(image(), Beside())
    shown = view(reports=(*WELL.reports, image(ok=False, images=[])))
    assert 'src="profile/linux/screenshot.png?v=v"' in fragment(shown, beside).parts["profiles"]


def test_builders_say_what_they_do() -> None:
    def builder(number: int, **more: Any) -> Machine:
        return Machine(runner=None, id=f"b{number}", profile="linux", room="vm1", **more)

    images = [{"building": {"machine": "b1", "began": NOW - 60}}]
    shown = view(
        reports=(*WELL.reports, image(images=images)),
        builders=(
            builder(1, facts={"role": "builder"}),
            builder(2, facts={"role": "smoke", "paused": "someone paused it"}),
            builder(3),
            builder(4, state="stopped", why="only its disk is left"),
        ),
    )
    text = Reader(fragment(shown).parts["builders"]).text
    assert "being built on vm1, begun 03:45:40 UTC" in text
    assert "being tried on vm1 someone paused it" in text
    assert "running on vm1" in text
    assert "stopped on vm1: only its disk is left" in text


def test_events_name_a_runner_once() -> None:
    def event(text: str, **more: Any) -> Event:
        return Event(time=NOW, text=text, **more)

    events = (
        event("linux.7@here is idle: it is online", profile="linux", runner=7),
        event("5 jobs", profile="linux"),
        event("evidence cannot be kept"),
    )
    text = Reader(fragment(view(events=events)).parts["events"]).text
    assert text.endswith(
        "03:46:40 UTC evidence cannot be kept 03:46:40 UTC linux 5 jobs "
        "03:46:40 UTC linux.7 is idle: it is online"
    )


def test_rooms_say_what_they_do_not_take() -> None:
    full = "pool default has less than 1 GiB"
    rooms = {"libvirt": (
        Room(name="vm1", refuses={"linux": full, "bench": full, "windows": "no image yet"}),
        Room(name="vm2", state=RoomState.DRAINING),
        Room(name="vm3", state=RoomState.DOWN),
    )}  # fmt: skip
    profiles = map(profile, ("linux", "windows", "bench"))
    text = Reader(fragment(view(*profiles, rooms=rooms)).parts["rooms"]).text
    assert f"not for linux, bench: {full} not for windows: no image yet" in text
    assert "vm2 libvirt draining: takes nothing new" in text
    assert "vm3 libvirt down: cannot be reached" in text
