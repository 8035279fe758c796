"""C39: no space, wherever it runs out: the machine is not made, and nothing of it is left."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from scaler import NoRoom
from scaler_libvirt.hosts import volumes
from scaler_libvirt.testing import Listener, libvirt_error
from scaler_libvirt.testing_disks import left_in, plugin_with


def no_space(*_: Any, **__: Any) -> None:
    error = libvirt_error("x")
    text = "cannot write data to file: No space left on device"
    error.err = (
        libvirt.VIR_ERR_SYSTEM_ERROR,
        libvirt.VIR_FROM_STORAGE,
        text,
        2,
        text,
        "",
        "",
        28,
        0,
    )
    raise error


# what is asked of libvirt, for which step
CALLS = [
    (libvirt.virStoragePool, "createXML", 1, "overlay"),
    (libvirt.virStoragePool, "createXML", 2, "seed"),
    (libvirt.virStorageVol, "upload", 1, "upload"),
    (libvirt.virStoragePool, "createXML", 3, "log"),
    (libvirt.virConnect, "createXML", 1, "domain"),
]


@pytest.mark.parametrize(
    ("owner", "name", "time"),
    [(owner, name, time) for owner, name, time, _ in CALLS],
    ids=[step for *_, step in CALLS],
)
@pytest.mark.usefixtures("fully")
async def test_c39_a_full_disk_at_any_step_leaves_nothing_half_made(
    owner: Any,
    name: str,
    time: int,
    someone: Any,
    pool: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, count = runner(), 0
    function = getattr(owner, name)

    def full(*args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        return no_space() if count == time else function(*args, **more)

    async with serving(plugin := plugin_with(Listener())):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, full)
            with pytest.raises(NoRoom, match="host local: "):
                await plugin.provision_runner(one, registration(one))
        assert count >= time
        assert left_in(pool) == []
        assert [domain.name() for domain in someone.listAllDomains()] == ["test"]
        await plugin.provision_runner(one, registration(one))  # once there is space again
        await plugin.destroy_runner(one)


async def test_c39_a_pool_that_is_nearly_full_takes_nobody_with_a_disk(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "space", lambda pool: (100 << 30, 1 << 29))
    listener = Listener()
    async with serving(plugin := plugin_with(listener)):
        (room,) = await plugin.capacity()
        assert "'default-pool' is full: found 512M free of 100G" in room.refuses["linux"]
        assert "not for linux: storage pool" in listener.reports[-1][0]


async def test_c39_destroying_needs_no_space(
    someone: Any,
    pool: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = runner()
    async with serving(plugin := plugin_with(Listener())):
        await plugin.provision_runner(one, registration(one))
        for owner, name in (
            (libvirt.virStoragePool, "createXML"),
            (libvirt.virConnect, "createXML"),
            (libvirt.virStorageVol, "upload"),
        ):
            monkeypatch.setattr(owner, name, no_space)
        await plugin.destroy_runner(one)
        assert left_in(pool) == []
