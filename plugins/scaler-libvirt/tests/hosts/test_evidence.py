"""After a failure: the end of the serial log is kept, and nothing is held up by it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler import Unavailable
from scaler_libvirt import plugin as plugin_module
from scaler_libvirt.hosts import assembly
from scaler_libvirt.machine.identity import digest
from scaler_libvirt.testing import Listener
from scaler_libvirt.testing_disks import plugin_with

LOG = b"boot\r\nscaler: failed: no space\r\n"


def writes(monkeypatch: pytest.MonkeyPatch, text: Any) -> None:
    """Have every machine's log be this."""

    def log_tail(*_: Any, **more: Any) -> bytes:
        assert more["limit"] == 64 << 10
        if isinstance(text, Exception):
            raise text
        return bytes(text)

    monkeypatch.setattr(assembly, "log_tail", log_tail)


async def test_of_one_that_failed_the_end_of_its_log_is_kept_before_it_goes(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "abcdefghijklmnopqrstuvwxyz"
    writes(monkeypatch, LOG + secret.encode())
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one, secret))
        assert machine.digest == digest(secret)
        await plugin.destroy_runner(runner(failed=True, machine=machine))
        assert listener.items == {(7, "serial.log"): LOG + b"[cut out]"}
        assert await plugin.list_machines() == []


async def test_of_one_that_ended_well_nothing_is_kept(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes(monkeypatch, LOG)
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)
        assert listener.items == {}


@pytest.mark.parametrize("error", [Unavailable("full"), OSError(28, "no space")], ids=repr)
async def test_c39_what_cannot_be_kept_holds_nobody_up(
    error: Exception,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener, one = Listener(), runner(failed=True)

    async def full(*_: Any) -> bool:
        raise error

    for log in (LOG, error):
        writes(monkeypatch, log)
        monkeypatch.setattr(listener, "keep", full)
        async with serving(plugin := plugin_with(listener)):
            await plugin.provision_runner(one, registration(one))
            await plugin.destroy_runner(one)
            assert await plugin.list_machines() == []


async def test_a_place_for_it_that_hangs_holds_nobody_up_for_long(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_module, "_KEPT_WITHIN", 0.2)
    writes(monkeypatch, LOG)
    listener = Listener()

    async def hangs(*_: Any) -> bool:
        await trio.sleep(3600)  # for ever: it is cancelled after 0.2 s, or the test fails
        return False

    monkeypatch.setattr(listener, "keep", hangs)
    ones = [runner(number, failed=True) for number in range(1, 9)]
    async with serving(plugin := plugin_with(listener)):
        for one in ones:
            await plugin.provision_runner(one, registration(one))
        with trio.fail_after(3):
            async with trio.open_nursery() as nursery:
                for one in ones:
                    nursery.start_soon(plugin.destroy_runner, one)
        assert await plugin.list_machines() == []
