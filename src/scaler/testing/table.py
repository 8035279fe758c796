"""Every promise that the checks hold a plugin to."""

from __future__ import annotations

from scaler.testing.promises_panel import PANEL
from scaler.testing.promises_plugin import PLUGIN
from scaler.testing.promises_provisioner import PROVISIONER
from scaler.testing.promises_selector import SELECTOR
from scaler.testing.promises_source import SOURCE

#: All of them, in the order in which they are listed for people.
PROMISES = (*PLUGIN, *PROVISIONER, *SOURCE, *SELECTOR, *PANEL)
