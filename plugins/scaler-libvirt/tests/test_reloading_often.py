"""Hosts that come and go often, and such as never answer."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from scaler_libvirt.hosts import fleet
from scaler_libvirt.hosts.link import open_link
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings
from scaler_libvirt.testing import Listener, PrivateLibvirtd, context_for

from .test_reloading import LOCAL, OTHER, QUICK, reload, until


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "LOOK", 0.05)


async def test_a_host_that_never_answers_holds_up_no_reload(serving: Any) -> None:
    answers = threading.Event()
    opened: list[str] = []

    def opener(uri: str, **more: Any) -> Any:
        opened.append(uri)
        if uri != LOCAL.uri:
            answers.wait()  # for ever, if the loop waits for it
        return open_link(LOCAL.uri, **more)

    hanging = replace(OTHER, uri="test:///hangs")
    plugin = Libvirt(context_for(Listener(), LOCAL), pace=QUICK, opener=opener)
    async with serving(plugin):
        for _ in range(3):
            await reload(plugin, LOCAL, hanging)
            await until(lambda: hanging.uri in opened)
            await reload(plugin, LOCAL)
            await until(lambda: list(plugin._hosts) == ["local"])
            opened.clear()
        answers.set()


async def test_c45_no_connection_and_no_thread_is_left_over_by_fifty_reloads(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any
) -> None:
    links: list[Any] = []
    lock = threading.Lock()

    def opener(*args: Any, **more: Any) -> Any:
        link = open_link(*args, **more)
        with lock:
            links.append(link)
        return link

    def there() -> int:
        return sum(not link._retired for link in links)

    kept = HostSettings(name="local", uri=libvirtd.uri)
    plugin = Libvirt(context_for(Listener(), kept), pace=QUICK, opener=opener)
    one = runner()

    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one))
        host = plugin._hosts["local"]
        threads = 0
        for number in range(50):
            more = [replace(OTHER, name=f"other{number}{each}") for each in range(2)]
            await reload(plugin, *more, kept)
            if number % 5:
                added = plugin._hosts[more[1].name].connection
                await until(partial(getattr, added, "up"))
            await reload(plugin, kept)
            if number % 10 == 0:
                await until(lambda: list(plugin._hosts) == ["local"])
            if number == 10:
                threads = threading.active_count()
        await until(lambda: list(plugin._hosts) == ["local"])
        await until(lambda: there() == 1)
        assert threading.active_count() <= threads + 20  # (trio keeps some for the next call)
        assert plugin._hosts["local"] is host
        assert await plugin.list_machines() == [machine]
        assert len(plugin._fleet._scopes) == len(plugin._images._scopes) == 1
        await plugin.destroy_runner(one)
    await until(lambda: there() == 0)
