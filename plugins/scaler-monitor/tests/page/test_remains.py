from __future__ import annotations

from dataclasses import replace

from scaler import Event, Kept, Runner, RunnerState, View
from scaler_monitor.page.remains import MOST, Memory

from .views import NOW, view


class Cabinet:
    def __init__(self) -> None:
        self.items: dict[int | str, tuple[str, ...]] = {}

    def kept(self, subject: int | str) -> tuple[Kept, ...]:
        return tuple(Kept(name=name, size=1, time=1.0) for name in self.items.get(subject, ()))


def runner(number: int, *, failed: bool = True, since: float = NOW - 60) -> Runner:
    return Runner(
        id=number,
        name=f"linux.{number}@here",
        profile="linux",
        state=RunnerState.RETIRING,
        reason="its machine stopped: its system crashed",
        since=since,
        failed=failed,
    )


def event(number: int, text: str, time: float = NOW) -> Event:
    return Event(time=time, text=text, profile="linux", runner=number)


def of(*runners: Runner, events: tuple[Event, ...] = ()) -> View:
    return view(runners=runners, events=events)


def test_who_failed_is_remembered_when_it_is_gone_with_what_was_kept() -> None:
    cabinet = Cabinet()
    memory = Memory(cabinet.kept)
    [one] = memory.look(of(runner(7), runner(8, failed=False))).failed
    assert (one.id, one.name, one.profile, one.time) == (7, "linux.7@here", "linux", NOW - 60)
    assert (one.why, one.kept) == ("its machine stopped: its system crashed", ())
    cabinet.items[7] = ("reason.txt", "serial.log")
    assert memory.look(of()).failed == (replace(one, kept=("reason.txt", "serial.log")),)


def test_why_it_failed_stays_whatever_comes_after() -> None:
    memory = Memory(Cabinet().kept)
    first = memory.look(of(runner(7))).failed
    later = replace(runner(7), reason="it was held long enough", since=NOW)
    assert memory.look(of(later)).failed == first


def test_who_was_never_seen_is_known_by_what_was_kept_and_told() -> None:
    cabinet = Cabinet()
    cabinet.items[7] = ("reason.txt",)
    events = (
        event(7, "linux.7@here is booting: its machine exists", NOW - 30),
        event(7, "linux.7@here is retiring: not online within 240 s", NOW - 20),
        event(7, "linux.7@here is gone: not online within 240 s", NOW - 10),
        event(8, "linux.8@here is gone: its job ended: succeeded"),
        Event(time=NOW, text="an override began"),
    )
    [one] = Memory(cabinet.kept).look(of(events=events)).failed
    assert (one.id, one.name, one.time) == (7, "linux.7", NOW - 20)
    assert (one.why, one.kept) == ("not online within 240 s", ("reason.txt",))


def test_an_event_of_another_kind_is_told_as_it_is() -> None:
    cabinet = Cabinet()
    cabinet.items[7] = ("reason.txt",)
    [one] = Memory(cabinet.kept).look(of(events=(event(7, "it is lost"),))).failed
    assert one.why == "it is lost"


def test_who_had_its_job_after_all_did_not_fail() -> None:
    memory = Memory(Cabinet().kept)
    assert memory.look(of(runner(7))).failed
    assert not memory.look(of(runner(7, failed=False))).failed
    assert not memory.look(of()).failed


def test_the_last_ones_are_remembered_the_last_first() -> None:
    memory = Memory(Cabinet().kept)
    memory.look(of(*(runner(number, since=NOW + number) for number in range(1, 100))))
    found = memory.look(of()).failed
    assert [each.id for each in found] == list(range(99, 99 - MOST, -1))


def test_a_view_is_looked_at_once() -> None:
    cabinet = Cabinet()
    asked: list[int | str] = []

    def kept(subject: int | str) -> tuple[Kept, ...]:
        asked.append(subject)
        return cabinet.kept(subject)

    memory, shown = Memory(kept), of(runner(7))
    first = memory.look(shown)
    assert asked == ["linux", 7]
    assert memory.look(shown) is first
    assert asked == ["linux", 7]


def test_what_was_kept_of_profiles() -> None:
    cabinet = Cabinet()
    assert Memory(cabinet.kept).look(view()).profiles == {}
    cabinet.items["linux"] = ("reason.txt", "screenshot.png")
    assert Memory(cabinet.kept).look(view()).profiles == {"linux": ("reason.txt", "screenshot.png")}
