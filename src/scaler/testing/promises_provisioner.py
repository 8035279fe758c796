"""What a provisioner promises."""

from __future__ import annotations

from scaler.testing.promises import Promise

PROVISIONER: tuple[Promise, ...] = ()
