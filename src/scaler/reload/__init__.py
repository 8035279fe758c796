"""Reading the settings anew while everything runs."""

from scaler.reload.outcome import Reloaded
from scaler.reload.reloader import Reloader

__all__ = ["Reloaded", "Reloader"]
