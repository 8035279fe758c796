"""New settings count at once, or not at all; a plugin is told of what is its own."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import Finding, SettingsChange, Unavailable, hookimpl
from scaler.records import Profile
from scaler.settings.model import ProfileTable, ScalerTable

from .conftest import SETTINGS, Deaf

if TYPE_CHECKING:
    from .conftest import Place


async def test_nothing_new_is_nothing(place: Place, autojump_clock: object) -> None:
    async with place.scaler():
        before = place.reloader.settings
        became = await place.running.reload()
        assert (became.ok, became.applied, became.restart, became.problems) == (True, (), (), ())
        assert place.queue.changes == []
        assert place.reloader.settings.profiles == before.profiles
        assert place.reloader.last == became


async def test_who_saw_something_wrong_looks_again(
    place: Place, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [Finding(ok=False, text="the token is refused", fix="make another")]
    looked: list[float] = []

    async def look(self: object) -> list[Finding]:
        await trio.lowlevel.checkpoint()
        looked.append(trio.current_time())
        return wrong

    monkeypatch.setattr(Deaf, "check", hookimpl(look))
    async with place.scaler():
        await place.until(lambda: looked)
        await trio.sleep(200)  # 60, then 120 s: the next one would be after 240
        assert len(looked) == 3
        await trio.sleep(1)
        await place.reload()
        await place.until(lambda: len(looked) == 4, 5)
        wrong.clear()
        assert not (await place.reload(("[scaler]", "[scaler"))).ok
        await trio.sleep(10)
        assert len(looked) == 4, "wrong settings mend nothing"
        await place.reload((place.text, SETTINGS))
        await place.until(lambda: len(looked) == 5, 5)
        assert not [each for each in place.view.reports if not each.ok]
        await place.reload()
        await trio.sleep(1000)
        assert len(looked) == 5, "all was well"


# --- every setting of the core ---------------------------------------------------------

#: Every setting of `[scaler]`: what it is changed to, and how that is seen. None: after a restart.
SCALER: dict[str, tuple[str, Any]] = {
    "name": ('name = "there"', None),
    "state_dir": ('state_dir = "elsewhere"', None),
    "plugin_dir": ('plugin_dir = "."', None),
    "tick": ('tick = "7s"', lambda place: place.running._engine.tick == 7),
    "shutdown_grace": (
        'shutdown_grace = "3s"',
        lambda place: float(place.reloader.settings.shutdown_grace) == 3,
    ),
    "log": ('log = "debug"', lambda place: place.reloader.settings.log == "debug"),
}


def test_every_setting_of_the_scaler_has_a_row() -> None:
    assert {field.name for field in dataclasses.fields(ScalerTable)} == SCALER.keys()


@pytest.mark.parametrize("name", SCALER)
async def test_a_setting_of_the_scaler_counts_at_once_or_is_named(
    place: Place, name: str, autojump_clock: object
) -> None:
    text, seen = SCALER[name]
    kept = [line for line in place.text.splitlines() if not line.startswith(f"{name} =")]
    async with place.scaler():
        became = await place.reload(
            (place.text, "\n".join(kept)), ("[scaler]", f"[scaler]\n{text}")
        )
        assert became.ok
        if seen is None:
            assert [each.partition(": ")[0] for each in became.restart] == [f"scaler.{name}"]
            assert place.view.restart == became.restart
            assert getattr(place.reloader.settings, name) != text
            back = await place.reload((place.text, SETTINGS))
            assert (back.ok, back.restart, place.view.restart) == (True, (), ())
        else:
            assert [each.partition(": ")[0] for each in became.applied] == [f"scaler.{name}"]
            assert became.restart == ()
            assert seen(place)


#: Every setting of a profile, as it is changed, and what the record says then.
PROFILE: dict[str, tuple[str, Any]] = {
    "labels": ('labels = ["gpu"]', ("gpu",)),
    "target_count": ("target_count = 1", 1),
    "max_count": ("max_count = 3", 3),
    "start_timeout": ('start_timeout = "9s"', 9.0),
    "reserve_timeout": ('reserve_timeout = "9s"', 9.0),
    "max_lifetime": ('max_lifetime = "9h"', 32400.0),
    "hold_failed": ('hold_failed = "9s"', 9.0),
    "boot_script": ('boot_script = "scaler.toml"', None),
    "resources": ("resources = { vcpus = 1 }", {"vcpus": 1}),
}


def test_every_setting_of_a_profile_has_a_row() -> None:
    assert {field.name for field in dataclasses.fields(ProfileTable)} == PROFILE.keys()
    derived = {"name", "source", "provisioners"}
    assert {field.name for field in dataclasses.fields(Profile)} - derived == PROFILE.keys()


@pytest.mark.parametrize("name", PROFILE)
async def test_a_setting_of_a_profile_counts_at_once_for_core_and_plugins(
    place: Place, name: str, autojump_clock: object
) -> None:
    text, value = PROFILE[name]
    kept = [line for line in place.text.splitlines() if not line.startswith(f"{name} =")]
    async with place.scaler():
        became = await place.reload(
            (place.text, "\n".join(kept)), ("[profiles.linux]", f"[profiles.linux]\n{text}")
        )
        assert (became.ok, became.restart) == (True, ())
        expected = str(place.file) if name == "boot_script" else value
        for seen in (place.state.profiles, place.queue.context.profiles, place.vm.context.profiles):
            assert getattr(seen["linux"], name) == expected
        assert place.view.profiles["linux"].profile == place.state.profiles["linux"]
        assert f"profiles.linux.{name}" in [each.partition(": ")[0] for each in became.applied]
        change = SettingsChange(changed=("linux",))
        assert (place.queue.changes, place.vm.changes) == ([change], [change])


async def test_sizes_are_told_as_people_write_them(place: Place, autojump_clock: object) -> None:
    async with place.scaler():
        became = await place.reload(
            ("[profiles.linux]", '[profiles.linux]\nresources = { memory = "6G", vcpus = 2 }')
        )
        assert became.applied == ("profiles.linux.resources: memory 6G, vcpus 2, was none",)


async def test_more_runners_stand_ready_and_less_go(place: Place, autojump_clock: object) -> None:
    async with place.scaler():
        await place.reload(("max_count = 4", "target_count = 3\nmax_count = 4"))
        await place.until(lambda: len(place.runners("idle")) == 3)
        await place.queue.told("linux", 0)
        await place.reload(("target_count = 3", "target_count = 1"))
        await place.until(lambda: len(place.runners()) == 1)


# --- plugins ---------------------------------------------------------------------------


async def test_a_plugin_is_told_of_its_own_alone_and_has_the_new_ones_then(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        became = await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
        assert became.applied == ("plugins.queue.pace",)
        assert place.queue.changes == [SettingsChange(config=True)]
        assert place.queue.context.config.pace == 9
        assert place.vm.changes == []
        became = await place.reload(("[profiles.linux.vm]", '[profiles.linux.vm]\nimage = "noble"'))
        assert became.applied == ("profiles.linux.vm.image",)
        assert place.vm.changes == [SettingsChange(changed=("linux",))]
        assert place.vm.context.own["linux"].image == "noble"
        assert len(place.queue.changes) == 1


async def test_one_that_knows_no_reload_keeps_its_settings_and_is_named(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        was = place.reloader._built.contexts["deaf"].config
        became = await place.reload(("[plugins.deaf]", "[plugins.deaf]\nvolume = 2"))
        named = ("plugins.deaf.volume: the plugin deaf takes no new settings while it runs",)
        assert (became.ok, became.applied, became.restart) == (True, (), named)
        assert place.reloader._built.contexts["deaf"].config is was
        again = await place.running.reload()
        assert again.restart == named == place.view.restart
        assert not (await place.reload(("volume = 2", ""))).restart


async def test_what_a_plugin_says_needs_a_restart_is_shown_until_it_says_so_no_more(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        place.queue.answer = ["plugins.queue.pace: it ticks already"]
        became = await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
        assert became.restart == place.view.restart == ("plugins.queue.pace: it ticks already",)
        await place.running.reload()
        assert place.view.restart == ("plugins.queue.pace: it ticks already",)
        place.queue.answer = []
        await place.reload(('pace = "9s"', ""))
        assert not place.view.restart


@pytest.mark.parametrize("failure", [RuntimeError("no, thanks"), Unavailable("not now"), 99.0])
async def test_one_that_fails_is_named_shown_and_told_again(
    place: Place, failure: Any, autojump_clock: object
) -> None:
    async with place.scaler():
        place.queue.script = [failure]
        became = await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
        assert became.ok
        [text] = became.restart
        why = "took longer than 30 s" if failure == 99.0 else str(failure)
        assert text.startswith("plugins.queue: it did not take what is new (")
        assert why in text
        faults = [each for each in place.view.reports if each.plugin == "queue" and not each.ok]
        assert len(faults) == 1
        assert why in faults[0].text
        became = await place.running.reload()
        assert became.restart == ()
        assert place.queue.changes == [SettingsChange(config=True)] * 2
        assert [each for each in place.view.reports if not each.ok] == []


async def test_a_failed_service_is_started_again_at_once(
    place: Place, autojump_clock: object
) -> None:
    """A token that was refused, and is right now, must not wait for a minute."""
    tries: list[tuple[float, float]] = []

    class Serving(place.queues):  # type: ignore[name-defined,misc]
        from scaler import hookimpl

        @hookimpl
        async def run_service(self, task_status: Any) -> None:
            tries.append((trio.current_time(), float(self.context.config.pace)))
            if self.context.config.pace < 5:
                raise Unavailable("the pace is refused")
            task_status.started()
            await self.context.stopping.wait()

    place.extra["queue"] = Serving
    async with place.scaler():
        await trio.sleep(200)
        before = len(tries)
        now = trio.current_time()
        await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
        await trio.sleep(0.1)
        assert [(at - now < 1, pace) for at, pace in tries[before:]] == [(True, 9)]


# --- wrong ones ------------------------------------------------------------------------


async def test_c45_wrong_settings_are_all_listed_and_change_nothing(
    place: Place, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with place.scaler():
        before = place.reloader.settings
        good = place.text
        became = await place.reload(
            ('tick = "5s"', 'tick = "soon"\nlog = "loud"'),
            ("max_count = 4", "max_count = -4\ntarget_count = 2"),
            ("[plugins.deaf]", '[plugins.deaf]\nvolume = "high"\n[plugins.nobody]'),
        )
        assert not became.ok
        told = [each.partition(":")[2].partition(": ")[2] for each in became.problems]
        assert [each.partition(": ")[0] for each in told] == [
            "scaler.tick",
            "scaler.log",
            "plugins.deaf.volume",
            "plugins.nobody",
            "profiles.linux.max_count",
        ]
        assert place.reloader.settings is before
        assert (place.queue.changes, place.state.restart) == ([], ())
        [fault] = [each for each in place.view.reports if not each.ok]
        assert (fault.plugin, fault.text.startswith("reload: ")) == ("settings", True)
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 6
        assert (await place.reload((place.text, good))).ok
        assert [each for each in place.view.reports if not each.ok] == []


async def test_c45_what_constructors_refuse_is_listed_of_all_plugins(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        before = place.reloader.settings
        became = await place.reload(
            ("[profiles.linux.queue]", '[profiles.linux.queue]\ngroup = "no-such"'),
            ("[plugins.vm]", '[plugins.vm]\nhost = "nowhere"'),
            ("max_count = 4", "max_count = 9"),
        )
        assert became.problems == (
            "profiles.linux.queue.group: there is no group no-such",
            "plugins.vm.host: there is no host nowhere",
        )
        assert place.reloader.settings is before
        assert place.state.profiles["linux"].max_count == 4
        assert place.queue.context.own["linux"].group == "all"


@pytest.mark.parametrize("text", ["", "\0", "[scaler", "x = 1", "[plugins]\nqueue = 3"])
async def test_c45_rubbish_changes_nothing(place: Place, text: str, autojump_clock: object) -> None:
    async with place.scaler():
        profiles = place.state.profiles
        place.write(text)
        became = await place.running.reload()
        if text:  # (an empty file is one without plugins)
            assert not became.ok
            assert became.problems
            assert place.state.profiles is profiles
        place.file.unlink()
        gone = await place.running.reload()
        assert not gone.ok
        assert "cannot be read" in gone.problems[0]


# --- secrets, and files that are named -------------------------------------------------


async def test_a_secret_is_read_anew_and_hidden_old_and_new(
    place: Place, autojump_clock: object
) -> None:
    token = place.folder / "token"
    token.write_text("the-first-token")
    token.chmod(0o600)
    place.text = place.text.replace(
        "[plugins.queue]", '[plugins.queue]\ntoken = { file = "token" }'
    )
    async with place.scaler():
        assert (await place.running.reload()).applied == ()
        token.write_text("the-second-token")
        became = await place.running.reload()
        assert became.applied == ("plugins.queue.token",)
        assert place.queue.context.config.token.reveal() == "the-second-token"
        hidden = place.reloader._hide("the-first-token the-second-token")
        assert hidden == "*** ***"
        token.write_text("")
        became = await place.running.reload()
        assert not became.ok
        assert "is empty" in became.problems[0]
        assert place.queue.context.config.token.reveal() == "the-second-token"


async def test_a_file_that_is_named_counts_by_its_content(
    place: Place, autojump_clock: object
) -> None:
    notes = place.folder / "notes"
    notes.write_text("one")
    place.text = place.text.replace("[plugins.queue]", '[plugins.queue]\nnotes = "notes"')
    async with place.scaler():
        assert (await place.running.reload()).applied == ()
        notes.write_text("another")
        assert (await place.running.reload()).applied == ("plugins.queue.notes",)
        assert place.queue.changes == [SettingsChange(config=True)]
        assert (await place.running.reload()).applied == ()


# --- screenshots -----------------------------------------------------------------------


async def test_pictures_are_taken_as_often_as_it_says_now(
    place: Place, autojump_clock: object
) -> None:
    place.text = place.text.replace("max_count = 4", "max_count = 4\ntarget_count = 1")
    async with place.scaler():
        await place.until(lambda: place.runners("idle"))
        await trio.sleep(100)
        assert place.vm.pictures == []
        await place.reload(('screenshot_interval = "0s"', 'screenshot_interval = "1h"'))
        await trio.sleep(100)
        assert len(place.vm.pictures) == 1
        await place.reload(('screenshot_interval = "1h"', 'screenshot_interval = "10s"'))
        await trio.sleep(105)
        assert 9 <= len(place.vm.pictures) <= 12
        await place.reload(('screenshot_interval = "10s"', 'screenshot_interval = "0s"'))
        taken = len(place.vm.pictures)
        await trio.sleep(100)
        assert len(place.vm.pictures) <= taken + 1
