"""What is swept on a host, and what is lost there."""

from __future__ import annotations

from typing import Any

import trio

HOUR = 3600.0


def volumes(host: Any, *numbers: int) -> set[str]:
    return {host.image(number) for number in numbers}


async def test_an_image_that_someone_deleted_is_built_again(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    async with guests(host), scaler.running():
        await scaler.until(lambda: scaler.state().live)
        host.volumes.clear()
        await scaler.until(lambda: scaler.state().live and scaler.state().live.number == 2, 600)


async def test_an_image_that_is_hidden_for_a_moment_is_not_lost(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    looks = 0
    async with guests(host), scaler.running():
        await scaler.until(lambda: scaler.state().live)
        await trio.sleep(200)
        hidden, host.volumes = host.volumes, {}
        looks = host.calls.count("images")
        await scaler.until(lambda: host.calls.count("images") > looks)
        host.volumes = hidden
        await trio.sleep(HOUR)
        assert scaler.state().live.number == 1


async def test_d31_an_image_that_was_written_to_is_not_used(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        await trio.sleep(200)
        host.volumes[host.image(1)] = "written to by a guest"
        await scaler.until(lambda: images.refusal("vm1", "linux"), within=120)
        await scaler.until(lambda: scaler.state().live, within=600)
        assert scaler.state().live.number == 2
        await trio.sleep(HOUR)
        assert set(host.volumes) == volumes(host, 2)


async def test_what_a_dead_scaler_left_is_swept_and_nothing_else(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    host.script = lab.hangs
    async with guests(host):
        for profile in ("linux", "removed"):
            await host.make(profile, "builder", f"0-{profile}", None, nonce="")
        host.volumes = {host.image(9): "?", host.image(3, "removed"): "?"}
        host.script = lab.works
        async with scaler.running():
            await scaler.until(lambda: scaler.state().live)
            assert scaler.state().live.number == 10  # never a number twice
            await trio.sleep(HOUR)
    assert host.machines == {}
    assert set(host.volumes) == {host.image(10), host.image(3, "removed")}
