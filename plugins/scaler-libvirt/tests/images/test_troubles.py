"""What a host or a disk may answer; the images of other hosts go on."""

from __future__ import annotations

import gc
import logging
from typing import Any

import pytest
import trio

from scaler_libvirt.hosts.base import PoolTroubleError
from scaler_libvirt.images import service

from .conftest import inline

pytestmark = pytest.mark.once

HOUR = 3600.0


@pytest.mark.parametrize("error", [PoolTroubleError("pool"), OSError(5, "bad disk")], ids=str)
@pytest.mark.parametrize("call", ["images", "left", "ended", "remove", "in_use"])
async def test_whatever_a_host_answers_others_go_on_and_it_does_later(
    lab: Any, autojump_clock: Any, guests: Any, call: str, error: Exception
) -> None:
    core = lab.cores(
        linux=lab.recipe(base_image_max_age=lab.seconds("1h"), smoke_timeout=lab.seconds("2m"))
    )
    odd, well = lab.hosts("vm1"), lab.hosts("vm2")
    odd.refuse = {call: error}
    scaler = lab.scaler(core, odd, well)
    async with guests(odd, well), scaler.running():
        await scaler.until(lambda: (live := scaler.state(host="vm2").live) and live.number > 1)
        odd.refuse = {}
        before = len(odd.made)
        await scaler.until(lambda: scaler.state().live and len(odd.made) > before)


@pytest.mark.parametrize("known", [True, False])
async def test_a_log_that_cannot_be_read_fails_the_build(
    lab: Any, autojump_clock: Any, guests: Any, known: bool
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    async with guests(host):
        if not known:  # an earlier scaler made the machine
            async with scaler.running():
                await scaler.until(lambda: host.made)
        host.refuse = {"tail": OSError(13, "permission denied")}
        async with scaler.running():
            await scaler.until(lambda: scaler.state().failed, within=600)
            assert "its serial log cannot be read: " in scaler.state().failed.why
            assert scaler.state().building is None
            host.refuse = {}
            await scaler.until(lambda: scaler.state().live)


async def test_a_machine_that_cannot_be_removed_is_told_once_and_stops_nothing(
    lab: Any, autojump_clock: Any, guests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    host.refuse = {"remove": OSError(30, "read-only")}
    async with guests(host), scaler.running():
        await scaler.until(lambda: scaler.state().live, within=600)
        await trio.sleep(HOUR)
        told = [each for each in caplog.messages if "cannot be removed" in each]
        assert len(told) == len(host.machines) == 2
        host.refuse = {}
        await scaler.until(lambda: not host.machines, within=120)


@pytest.mark.parametrize("others", [True, False])
async def test_what_was_built_by_other_settings_is_swept_and_told(
    lab: Any, autojump_clock: Any, guests: Any, caplog: pytest.LogCaptureFixture, others: bool
) -> None:
    host = lab.host
    core = lab.cores(linux=lab.recipe()) if others else lab.cores(linux=plain(lab))
    scaler = lab.scaler(core, host)
    host.script, mine = lab.hangs, "0-gone"
    async with guests(host):
        await host.make("gone", "builder", mine, None, nonce="")
        host.script = lab.works
        host.volumes = {host.image(3, "gone"): "?"}
        host.up = False
        async with scaler.running() as images:
            await trio.sleep(HOUR)
            host.up = True
            images.host_changed("vm1")
            await scaler.until(lambda: mine not in host.machines, within=60)
            await trio.sleep(HOUR)
            told = [each for each in caplog.messages if host.image(3, "gone") in each]
            assert len(told) == 1
            if others:
                row = scaler.images._box.status()["images"][-1]
                assert (row["profile"], row["volumes"]) == ("gone", [host.image(3, "gone")])
    assert host.image(3, "gone") in host.volumes


def plain(lab: Any) -> Any:
    return lab.recipe(source_image="", keep_images=1)


async def test_a_disk_that_does_not_answer_is_told_once_and_waited_for_by_nobody(
    lab: Any, autojump_clock: Any, guests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(work: Any) -> None:
        await trio.sleep_forever()

    scaler = lab.scaler(lab.core, lab.host)
    scaler.in_thread = hang
    with caplog.at_level(logging.WARNING):
        async with guests(lab.host), scaler.running() as images:
            await scaler.until(lambda: scaler.state().live)
            await trio.sleep(2 * service.PATIENCE)
            assert images.refusal("vm1", "linux") == ""
            assert lab.core.reports["linux"][0].startswith("vm1: image 1 of ")
            assert sum("no answer within 5 s" in each for each in caplog.messages) == 1


async def test_the_lock_that_came_too_late_is_given_back(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    late, taken = [], False

    async def slow(work: Any) -> Any:
        nonlocal taken
        done = await inline(work)
        if getattr(work, "__name__", "") == "serve" and not taken:
            taken = True
            late.append(work.__self__)
            await trio.sleep(HOUR)
        return done

    scaler = lab.scaler(lab.core, lab.host)
    scaler.in_thread = slow
    async with guests(lab.host), scaler.running():
        await trio.sleep(60)
        assert taken
        assert late[0].served()  # by the same service, which asked once more
    gc.collect()  # (an exception on its way may have made a circle of it)
    assert not late[0].served()
