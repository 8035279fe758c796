"""Who is served when: nothing is asked of a plugin that does not know the profile yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler import SettingsChange

from .conftest import MAC, SETTINGS

if TYPE_CHECKING:
    from .conftest import Place

LINUX = SETTINGS[SETTINGS.index("[profiles.linux]") :]


async def test_a_provisioner_makes_nothing_of_a_profile_that_it_was_not_told_of(
    place: Place, autojump_clock: object
) -> None:
    place.extra["room"] = type("Room", (place.vms,), {"made": []})
    place.text = SETTINGS.replace("[plugins.deaf]", "[plugins.room]\n[plugins.deaf]").replace(
        "max_count = 4", "max_count = 4\ntarget_count = 2"
    )
    async with place.scaler():
        await place.until(lambda: len(place.runners("idle")) == 2)
        place.queue.script = [20.0]
        seen: list[set[str]] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                place.reload,
                ("target_count = 2", "target_count = 4"),
                ("[profiles.linux.vm]", "[profiles.linux.room]\n[profiles.linux.vm]"),
            )
            await trio.sleep(15)
            seen.append({each.provisioner for each in place.runners()})
            assert place.view.profiles["linux"].ceiling == 4  # the one that knows it goes on
        assert seen == [{"vm"}]
        assert place.extra["room"].made[0].changes == [SettingsChange(added=("linux",))]
        assert len(place.runners()) == 4


async def test_a_new_profile_whose_source_waits_is_not_served_and_says_why(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        why = "waits for linux, which still listens to scale set shared"
        place.queue.answer = [f"profiles.mac.queue: {why}"]
        mac = MAC.replace("max_count", "target_count = 1\nmax_count")
        became = await place.reload(more=mac)
        assert became.restart == (f"profiles.mac.queue: {why} (that comes by itself, too)",)
        await trio.sleep(60)
        assert place.runners() == []
        assert place.view.profiles["mac"].ceiling == 0
        assert why in place.view.profiles["mac"].why
        assert not place.state.backoffs.profiles
        place.queue.answer = []  # it is asked by itself
        await place.until(lambda: place.runners("idle"), 30)
        assert place.view.restart == ()
        asked = len(place.queue.changes)
        await trio.sleep(60)
        assert len(place.queue.changes) == asked


async def test_what_waits_for_a_restart_is_not_said_to_count(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        place.queue.answer = ["plugins.queue.pace: stays 1 s"]
        became = await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "2s"'))
        assert became.restart == tuple(place.queue.answer)
        assert became.applied == ()


async def test_one_that_waited_and_leaves_waits_for_nothing_any_more(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        place.queue.answer = ["profiles.mac.queue: waits for linux"]
        await place.reload(more=MAC)
        assert place.view.restart
        assert [*place.reloader._telling.restart({"mac"})] == []


async def test_who_leaves_with_nothing_left_goes_at_once(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS + MAC
    async with place.scaler():
        await place.busy()
        await trio.sleep(100)
        await place.reload((LINUX, ""))
        await trio.sleep(100)
        assert "linux" in place.view.profiles
        await place.queue.finish("job-1")
        await place.queue.told("linux", 0)
        await place.until(lambda: not place.runners())
        await place.until(lambda: "linux" not in place.view.profiles, 10)


async def test_what_was_reported_of_a_profile_goes_with_it(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS + MAC
    async with place.scaler():
        await place.queue.told("linux", 0)
        place.queue.context.report("it is bad", ok=False, profile="linux")
        place.queue.context.report("so is this", ok=False, profile="mac")
        await place.reload((LINUX, ""))
        await place.until(lambda: "linux" not in place.view.profiles)
        place.queue.context.report("a late word", ok=False, profile="linux")
        assert [each.profile for each in place.view.reports if not each.ok] == ["mac"]


async def test_only_runners_of_before_are_said_to_be_of_before(
    place: Place, autojump_clock: object
) -> None:
    place.text = SETTINGS.replace("max_count = 4", "max_count = 4\ntarget_count = 1")
    async with place.scaler():
        await place.until(lambda: place.runners("idle"))
        place.queue.script = [20.0]
        became = await place.reload(
            ("target_count = 1", 'target_count = 4\nlabels = ["gpu"]'), ('labels = ["linux"]\n', "")
        )
        assert len(place.runners()) == 4
        assert (
            "profiles.linux: 1 runner that waits was made with the earlier settings"
            in became.applied
        )


async def test_that_an_override_stands_over_new_counts_is_said(
    place: Place, autojump_clock: object
) -> None:
    async with place.scaler():
        await place.queue.told("linux", 0)
        await trio.sleep(10)
        await place.queue.context.override({"linux": 1})
        became = await place.reload(("max_count = 4", "max_count = 3\ntarget_count = 2"))
        text = "profiles.linux: an override is active: its counts stand until that ends"
        assert text in became.applied
        await trio.sleep(20)
        assert len(place.runners()) == 1


async def test_a_call_that_goes_on_is_not_joined_by_another(
    place: Place, autojump_clock: object
) -> None:
    running: list[int] = []

    class Stubborn(place.queues):  # type: ignore[name-defined,misc]
        from scaler import hookimpl

        @hookimpl
        async def on_settings_changed(self, change: SettingsChange) -> list[str]:
            running.append(1)
            with trio.CancelScope(shield=True):
                await trio.sleep(300)
            running.pop()
            return []

    place.extra["queue"] = Stubborn
    async with place.scaler():
        became = await place.reload(("[plugins.queue]", '[plugins.queue]\npace = "9s"'))
        assert "plugins.queue: it did not take what is new" in became.restart[0]
        became = await place.reload(('pace = "9s"', 'pace = "8s"'))
        assert running == [1]
        assert "goes on still" in became.restart[0]
        await trio.sleep(300)
        assert running == []
