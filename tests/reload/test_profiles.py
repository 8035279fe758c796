"""Profiles that come, change and go: no job is lost, and no runner that works is touched."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import SettingsChange
from scaler.model import demand
from scaler.records import RunnerState

from .conftest import MAC, SETTINGS

if TYPE_CHECKING:
    from .conftest import Place

LINUX = SETTINGS[SETTINGS.index("[profiles.linux]") :]


async def test_a_new_profile_is_served_when_its_plugins_know_of_it(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        place.queue.script = [8.0]
        async with trio.open_nursery() as nursery:

            async def reload() -> None:
                became = await place.reload(
                    more=MAC.replace("max_count", "target_count = 1\nmax_count")
                )
                assert (became.applied, became.restart) == (("profiles.mac: it is new",), ())

            nursery.start_soon(reload)
            await trio.sleep(4)
            await place.queue.told("mac", 1)  # its listener is there: it may tell at once
            await trio.sleep(2)
            view = place.view.profiles["mac"]
            assert (view.ceiling, place.runners()) == (0, [])
            assert view.why
        assert place.queue.changes == place.vm.changes == [SettingsChange(added=("mac",))]
        await place.until(lambda: len(place.runners("idle")) == 2)
        assert {each.profile for each in place.runners()} == {"mac"}


async def test_one_that_a_plugin_did_not_take_is_not_served(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        place.queue.script = [RuntimeError("no room for it")]
        became = await place.reload(more=MAC.replace("max_count", "target_count = 1\nmax_count"))
        assert "no room for it" in became.restart[0]
        await trio.sleep(60)
        assert place.runners() == []
        assert (await place.running.reload()).restart == ()
        await place.until(lambda: place.runners("idle"))
        assert place.queue.changes == [SettingsChange(added=("mac",))] * 2


async def test_c48_a_lower_max_count_reaches_the_source_before_it_is_told(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        await place.until(lambda: place.queue.context.ceiling("linux") == 4)
        seen: list[int] = []

        async def follow() -> None:
            ceiling = 4
            while True:
                ceiling = await place.queue.context.ceiling_changed("linux", ceiling)
                seen.append(ceiling)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            for _ in range(3):
                await place.queue.job("linux")
            await place.until(lambda: place.runners("busy"))
            await place.reload(("max_count = 4", "max_count = 1"))
            assert place.queue.saw == [{"linux": 3}]  # for those that are there already
            await place.until(lambda: len(place.runners("busy")) == 3)
            for number in (1, 2, 3):
                await place.queue.finish(f"job-{number}")
                await trio.sleep(60)
            nursery.cancel_scope.cancel()
        assert seen == [3, 2, 1]


# --- leaving ---------------------------------------------------------------------------


async def test_c45_a_removed_profile_that_runs_a_job_drains(
    place: Place, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    place.text = SETTINGS.replace("max_count = 4", "max_count = 4\ntarget_count = 1") + MAC
    async with place.scaler():
        await place.busy()
        await place.until(lambda: place.runners("idle"))  # another one stands ready
        became = await place.reload(
            (LINUX.replace("max_count = 4", "max_count = 4\ntarget_count = 1"), "")
        )
        assert "profiles.linux: it leaves" in became.applied
        assert (
            "profiles.linux: 1 job of it is still owed: do not restart before they are done"
            in became.applied
        )
        assert place.queue.context.ceiling("linux") == 0
        assert place.view.profiles["linux"].leaving
        await place.until(lambda: not place.runners("idle"))
        await trio.sleep(300)
        assert [each.state for each in place.runners()] == [RunnerState.BUSY]
        assert place.queue.changes == []  # it is not told before all is over
        await place.queue.finish("job-1")
        await place.until(lambda: "linux" not in place.view.profiles)
        assert place.runners() == []
        assert place.queue.changes == place.vm.changes == [SettingsChange(removed=("linux",))]
        assert place.queue.finished == {"linux": True}  # what was under way came through
        for context in (place.queue.context, place.vm.context):
            assert list(context.profiles) == list(context.own) == ["mac"]
        with pytest.raises(LookupError):
            await place.queue.told("linux", 1)
        assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_one_whose_jobs_are_all_done_leaves_without_a_warning(
    place: Place,
    autojump_clock: object,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though a lower total counts only after a while, where it is told but once."""
    monkeypatch.setattr(demand, "APART", 1000.0)
    caplog.set_level(logging.INFO, "scaler")
    place.text = SETTINGS + MAC
    async with place.scaler():
        await place.busy()
        await place.reload((LINUX, ""))
        await place.queue.finish("job-1")
        await place.until(lambda: "linux" not in place.view.profiles)
        told = [each.message for each in caplog.records if "has left" in each.message]
        assert told == ["profile linux has left"]


async def test_jobs_that_were_owed_get_runners_and_later_ones_do_not(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS + MAC
    async with place.scaler():
        place.vm.refusing = lambda _runner: "not yet"
        for _ in range(3):
            await place.queue.job("linux")
        await trio.sleep(5)
        await place.reload((LINUX, ""))
        place.vm.refusing = lambda _runner: ""
        await place.until(lambda: len(place.runners("busy")) == 3)
        for _ in range(3):
            await place.queue.job("linux")
        for number in (1, 2, 3):
            await place.queue.finish(f"job-{number}")
        await place.until(lambda: "linux" in place.view.profiles and not place.runners("busy"))
        assert [each.state for each in place.queue.jobs.values()] == ["done"] * 3 + ["assigned"] * 3


async def test_it_does_not_wait_for_ever_and_says_who_waits_still(
    place: Place, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    text = LINUX.replace("max_count = 4", 'max_count = 4\nmax_lifetime = "10m"')
    place.text = SETTINGS.replace(LINUX, text) + MAC
    async with place.scaler():
        place.vm.refusing = lambda _runner: "never"
        await place.queue.job("linux")
        await place.reload((text, ""))
        began = trio.current_time()
        await place.until(lambda: "linux" not in place.view.profiles, 3000)
        assert 600 <= trio.current_time() - began < 700
        told = [each.message for each in caplog.records if "has left" in each.message]
        assert told == [
            "profile linux has left; 1 job waits for it at the other side, and nobody serves that"
            " any more"
        ]


async def test_one_that_comes_back_goes_on_as_if_it_had_never_left(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS + MAC
    async with place.scaler():
        await place.busy()
        await place.reload((LINUX, ""))
        await trio.sleep(60)
        became = await place.reload(more=LINUX)
        assert "profiles.linux: it is back" in became.applied
        assert place.queue.changes == [SettingsChange(changed=("linux",))]
        assert not place.view.profiles["linux"].leaving
        await place.until(lambda: place.queue.context.ceiling("linux") == 4)
        assert len(place.runners("busy")) == 1
        await place.busy()
        await place.queue.finish("job-1")
        await place.queue.finish("job-2")
        await place.until(lambda: not place.runners())
        assert list(place.view.profiles) == ["mac", "linux"]


async def test_one_that_was_dropped_can_come_again(place: Place, autojump_clock: object) -> None:
    place.text = SETTINGS + MAC
    async with place.scaler():
        await place.queue.told("linux", 0)
        await place.reload((LINUX, ""))
        await place.until(lambda: "linux" not in place.view.profiles)
        became = await place.reload(more=LINUX)
        assert became.applied == ("profiles.linux: it is new",)
        await place.busy()
        await place.queue.finish("job-1")
        await place.until(lambda: not place.runners())


async def test_a_restart_while_one_leaves_takes_its_runner_away_only_when_it_is_done(
    place: Place, autojump_clock: object
) -> None:
    """What a crash then leaves is what a removed profile leaves at a start: nobody is destroyed."""
    place.text = SETTINGS + MAC
    async with place.scaler():
        registration = await place.busy()
        await place.reload((LINUX, ""))
        machines, jobs = place.vm.machines, place.queue.jobs
    place.queues.made.clear()
    place.vms.made.clear()
    async with place.scaler():
        place.queue.registrations[registration.name] = registration
        place.queue.jobs.update(jobs)
        place.vm.machines.update(machines)
        await trio.sleep(300)
        assert list(place.vm.machines) == list(machines)
        await place.queue.online(registration.name)


# --- what cannot be done ---------------------------------------------------------------

OTHER = """
[plugins.other]
"""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("[profiles.linux.queue]", "[profiles.linux.other]"), "its source is queue, not other"),
        (("[profiles.linux.vm]", "[profiles.linux.room]"), "its machines are made by vm, too"),
    ],
)
async def test_a_profile_that_changes_hands_stays_as_it_is_and_is_named(
    place: Place, change: tuple[str, str], named: str, autojump_clock: object
) -> None:
    place.extra |= {"other": place.queues, "room": place.vms}
    place.text = SETTINGS.replace(
        "[plugins.deaf]", "[plugins.deaf]\n[plugins.other]\n[plugins.room]"
    )
    async with place.scaler():
        became = await place.reload(change, ("max_count = 4", "max_count = 9"))
        [text] = became.restart
        assert text.startswith("profiles.linux: ")
        assert named in text
        assert became.applied == ()
        assert place.state.profiles["linux"].max_count == 4
        assert not any(each.changes for each in [*place.queues.made, *place.vms.made])


async def test_plugins_that_come_and_go_are_named_and_nothing_is_imported(
    place: Place, autojump_clock: object
) -> None:
    (place.folder / "late.py").write_text("raise SystemExit('it was imported')")
    place.text = SETTINGS.replace('state_dir = "state"', 'state_dir = "state"\nplugin_dir = "."')
    async with place.scaler():
        became = await place.reload(
            ("[plugins.deaf]", "[plugins.late]\nany = 1"),
            more="[profiles.mac]\nmax_count = 1\n[profiles.mac.late]\n",
        )
        assert became.ok
        assert became.restart == (
            "plugins.late: it is started by a restart",
            "plugins.deaf: it runs on until a restart",
            "profiles.mac: it needs the plugin late, which a restart starts",
        )
        assert list(place.state.profiles) == ["linux"]


async def test_a_source_that_knows_no_reload_keeps_a_profile_that_is_gone_until_a_restart(
    place: Place, autojump_clock: object
) -> None:
    class Old(place.queues):  # type: ignore[name-defined,misc]
        on_settings_changed: Any = None

    place.extra["queue"] = Old
    place.text = SETTINGS + MAC
    async with place.scaler():
        await place.queue.told("linux", 0)
        became = await place.reload((LINUX, LINUX.replace("linux", "windows")))
        assert became.restart == (
            "profiles.windows: the plugin queue takes no new settings while it runs",
            "profiles.linux: the plugin queue takes no new settings while it runs",
        )
        await trio.sleep(600)
        assert place.view.profiles["linux"].leaving
        assert "windows" not in place.view.profiles
        await place.queue.told("linux", 0)


# --- limits that a reload must not turn against who works ------------------------------


async def test_c45_a_shorter_life_ends_no_runner_that_works(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS.replace("max_count = 4", 'max_count = 4\nmax_lifetime = "1h"').replace(
        'tick = "5s"', 'tick = "60s"'
    )
    async with place.scaler():
        await place.busy()
        await trio.sleep(300)
        await place.reload(('max_lifetime = "1h"', 'max_lifetime = "1m"'))
        await trio.sleep(300)
        assert [each.state for each in place.runners()] == [RunnerState.BUSY]


async def test_spare_runners_of_earlier_settings_are_named(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS.replace("max_count = 4", "max_count = 4\ntarget_count = 2")
    async with place.scaler():
        await place.until(lambda: len(place.runners("idle")) == 2)
        became = await place.reload(("[profiles.linux.vm]", '[profiles.linux.vm]\nimage = "noble"'))
        assert became.applied == (
            "profiles.linux.vm.image",
            "profiles.linux: 2 runners that wait were made with the earlier settings",
        )
