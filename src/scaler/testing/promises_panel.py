"""What a plugin with a panel promises."""

from __future__ import annotations

from scaler.testing.promises import Promise

PANEL: tuple[Promise, ...] = ()
