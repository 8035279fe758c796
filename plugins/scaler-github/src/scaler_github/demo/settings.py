"""The demo's settings: a real TOML file, as a site would write it."""

from __future__ import annotations

import json
import socket
from importlib.metadata import entry_points

TEMPLATE = """\
# What `scaler demo` runs with. A site's own settings look the same.
[scaler]
name = "demo"
state_dir = {state_dir}
tick = "5s"
shutdown_grace = "10s"

[plugins.github]
url = {url}                           # the simulator; at a site: https://github.com/ORGANIZATION
token = {{ env = "{token}" }}

[plugins.actions-queue]

[plugins.libvirt]                     # libvirt's test driver: domains without a hypervisor
hosts = [{{ name = "test", uri = "test:///default", memory = "24G", vcpus = 12 }}]

[plugins.demo]                        # plays the guests: boots, runs the job, ends

[profiles.linux]
labels = ["self-hosted-image:linux"]
target_count = 1                      # one stands ready
max_count = 6
resources = {{ memory = "2G", vcpus = 1 }}
[profiles.linux.actions-queue]
[profiles.linux.libvirt]

[profiles.large]
labels = ["self-hosted-image:large"]
max_count = 3
resources = {{ memory = "8G", vcpus = 4 }}
[profiles.large.actions-queue]
[profiles.large.libvirt]
"""

MONITOR = """
[plugins.monitor]                     # the dashboard, and the Monitor API
listen = ["{listen}"]
"""

TOKEN = "SCALER_DEMO_TOKEN"
PORT = 8000  # of the dashboard, as at a site, if it is free


def text(url: str, state_dir: str) -> str:
    """The TOML; with the Monitor, where that is installed."""
    made = TEMPLATE.format(url=json.dumps(url), state_dir=json.dumps(state_dir), token=TOKEN)
    if entry_points(group="scaler.plugins", name="monitor"):
        made += MONITOR.format(listen=f"127.0.0.1:{PORT if _is_free(PORT) else 0}")
    return made


def _is_free(port: int) -> bool:
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
