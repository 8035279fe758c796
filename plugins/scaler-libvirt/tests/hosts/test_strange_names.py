"""D22, D23: names and settings with anything in them reach libvirt as what they are."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import scaler_libvirt
from scaler import NoRoom, RunnerState
from scaler_libvirt.hosts import networks, volumes
from scaler_libvirt.hosts.base import Base
from scaler_libvirt.testing import Listener
from scaler_libvirt.testing_disks import left_in, plugin_with

NASTY = [
    "-c",
    "--help",
    "a b",
    "a\nb",
    "$(reboot)",
    "'; reboot; '",
    "</name><filesystem/>",
    "&amp;",
    "../../etc/passwd",
    "ü" * 50,
    "x" * 300,
]


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
async def test_d23_a_runners_name_becomes_no_option_and_no_path(
    name: str, someone: Any, pool: Any, serving: Any, runner: Any, registration: Any
) -> None:
    one = runner(name=f"{name}.7@here", state=RunnerState.REGISTERED)
    async with serving(plugin := plugin_with(Listener())):
        machine = await plugin.provision_runner(one, registration(one))
        domain = someone.lookupByUUIDString(machine.id)
        assert set(domain.name()) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert not domain.name().startswith("-")
        assert not list(ET.fromstring(domain.XMLDesc()).iter("filesystem"))
        for volume in left_in(pool):
            assert set(volume) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        (listed,) = await plugin.list_machines()
        assert listed.runner_name == one.name
        await plugin.destroy_runner(one)
        assert left_in(pool) == []


@pytest.mark.parametrize("path", ["/images/a b'<&>\".qcow2", "/images/-f", "/images/--help=x"])
def test_d23_a_bases_path_reaches_libvirt_as_it_is(path: str, pool: Any) -> None:
    volumes.create_overlay(pool, "x.disk", Base(path=path, format="qcow2"))
    assert volumes.backings(pool)["x.disk"] == path
    volumes.delete(pool, ["x.disk"])


async def test_d22_a_profile_that_no_volume_can_be_named_after_is_an_error_of_its_own(
    serving: Any, runner: Any, registration: Any, pool: Any
) -> None:
    one = runner(profile="../x")
    async with serving(plugin := plugin_with(Listener(), **{"../x": _own()})):
        with pytest.raises(NoRoom, match="is no name for a volume"):
            await plugin.provision_runner(one, registration(one))
        assert left_in(pool) == []


def _own() -> Any:
    return plugin_with(Listener())._context.own["linux"]


def test_d22_an_entry_of_a_network_is_written_by_a_serializer(network: Any) -> None:
    strange = networks.Entry(mac="52:00:00:00:00:01", ip="192.168.122.9", name="a'/><host ip='1")
    try:
        networks.add_host(network, strange)
    except Exception:
        return  # libvirt refuses it as a name
    assert networks.facts(network).entries == (strange,)


def test_d23_no_process_is_ever_started_by_the_plugin() -> None:
    root = Path(scaler_libvirt.__file__).parent
    testing = set(root.glob("testing*.py"))
    for path in set(root.rglob("*.py")) - testing:
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {"subprocess", "pty"} & set(names), path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("system", "popen", "run_process", "open_process"), path
