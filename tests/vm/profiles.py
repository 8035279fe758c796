"""What stands in a site's settings file, and what its guests run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.lab import POOL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.vm.lab import Hypervisor

    from scaler_github.testing import Simulator

DOOR = 8000  # the port of the guest door
NAME = "site"

SETTINGS = """
[scaler]
name = "{name}"
state_dir = "{state}"
tick = "2s"
shutdown_grace = "10s"
log = "debug"

[plugins.github]
url = "{url}"
token = {{ env = "TEST_TOKEN" }}

[plugins.actions-queue]

[plugins.monitor]
listen = ["unix:{folder}/monitor"]
guest_listen = ["{listen}"]

[plugins.libvirt]
hosts = [{{ name = "here", uri = "{uri}", memory = "4G", acceleration = "none"{host} }}]
"""

PROFILE = """
[profiles.{name}]
max_count = {most}
start_timeout = "{start_timeout}"
hold_failed = "{hold_failed}"
boot_script = "{script}"
resources = {{ memory = "{memory}", vcpus = 1 }}
[profiles.{name}.actions-queue]
scale_set = "{name}"
[profiles.{name}.libvirt]
base_image = "guest.raw"
machine = "pc"
{libvirt}
"""

# A machine whose kernel QEMU loads itself boots in two thirds of the time.
DIRECT = f"""
kernel = "{POOL}/vmlinuz"
initrd = "{POOL}/initrd"
kernel_args = "console=ttyS0 quiet panic=0"
"""

# What stands before every boot script: guests look for marks, by which tests tell them to go on. A
# mark is a scale set that nobody serves; they see it where they see their jobs.
MARKS = """
CONTROL=http://$SIMULATOR_HOST:{port}/_control
world() {{ timeout 20 wget -q -O - "$CONTROL/world" | tr '{{' '\\n'; }}
marks() {{ world | sed -n 's/.*"name":"\\([^"]*\\)".*/\\1/p'; }}
marked() {{ marks | grep -qx "$1"; }}
"""

# What guests run in place of the runner where a job has to go on until it is let go.
HOLD = "hold"
HELD = rf"""
goes_on='while control "$door\/world" | grep -q name...{HOLD}; do sleep 1; done'
sed "s/^sleep 1$/$goes_on/" /runner >/tmp/runner
chmod 755 /tmp/runner
RUNNER=/tmp/runner
"""
MINIMAL = (Path(__file__).parent.parent.parent / "docs/examples/guests/minimal-boot.sh").read_text()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A profile of the site.

    Attributes:
        script: What its guests run when they are up.
        memory: Of each of its machines.
        libvirt: More lines of its libvirt table.
    """

    name: str
    script: str = MINIMAL
    most: int = 4
    memory: str = "128M"
    start_timeout: str = "240s"
    hold_failed: str = "0s"
    libvirt: str = DIRECT


def settings_of(
    hypervisor: Hypervisor,
    folder: Path,
    simulator: Simulator,
    profiles: Iterable[Profile],
    host: str,
) -> str:
    """The settings file; the scripts that it names are written."""
    port = simulator.origin.rpartition(":")[2]
    tables = []
    for profile in profiles:
        script = folder / f"{profile.name}.sh"
        script.write_text(MARKS.format(port=port) + profile.script)
        tables.append(PROFILE.format(**asdict(profile) | {"script": script}))
    head = SETTINGS.format(
        name=NAME,
        state=folder / "state",
        folder=folder,
        url=simulator.url,
        listen=f"0.0.0.0:{DOOR}",
        uri=hypervisor.uri,
        host=host,
    )
    return head + "".join(tables)
