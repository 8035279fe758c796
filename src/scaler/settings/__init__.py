"""From one TOML file to frozen settings, with every mistake reported at once."""

from scaler.settings.load import load, look
from scaler.settings.model import Settings

__all__ = ["Settings", "load", "look"]
