"""What libvirt says of a machine that cannot be made: told in a line, and one profile's concern."""

from __future__ import annotations

from typing import Any

import pytest

from scaler import NoRoom
from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.reasons import plain
from scaler_libvirt.settings import ProfileConfig
from scaler_libvirt.testing import Listener, libvirt_error
from scaler_libvirt.testing_disks import plugin_with

PROGRAM = (
    "the base /a cannot be used: internal error: Child process (/usr/bin/qemu-img create -b /a (b) "
    "/c.disk) unexpected exit status 1: qemu-img: /c.disk: Image is not in qcow2 format\n"
    "Could not open backing image.\n"
)
PIECE = (
    "(nwfilterbinding_definition):8: Unescaped '<' not allowed\n  <filterref filter='\"/>'>\n--^"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PROGRAM, "the base /a cannot be used: Image is not in qcow2 format"),
        (PIECE, "(nwfilterbinding_definition):8: Unescaped '<' not allowed"),
        ("internal error: Unknown CPU model x", "internal error: Unknown CPU model x"),
        ("\n", "it does not say why"),
    ],
    ids=["program", "piece of XML", "one line", "nothing"],
)
def test_it_is_one_line(text: str, told: str) -> None:
    assert plain(libvirt_error(text)) == told


async def test_what_libvirt_refuses_costs_no_other_profile(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = plugin_with(Listener(), bare=ProfileConfig())

    def refused(*_: Any, **__: Any) -> None:
        raise libvirt_error("internal error: Unknown CPU model x\n<cpu/>")

    async with serving(plugin):
        with monkeypatch.context() as patch:
            patch.setattr(driver, "create", refused)
            for number in range(1, 6):  # a hook that fails so often is left alone, for everybody
                one = runner(number)
                with pytest.raises(NoRoom, match=r"Unknown CPU model x$"):
                    await plugin.provision_runner(one, registration(one))
        (room,) = await plugin.capacity()
        assert dict(room.refuses) == {"linux": "internal error: Unknown CPU model x"}
        other = runner(8, profile="bare")
        await plugin.provision_runner(other, registration(other))
        await plugin.destroy_runner(other)
