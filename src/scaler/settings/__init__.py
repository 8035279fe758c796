"""From one TOML file to frozen settings, with every mistake reported at once."""

from scaler.settings.load import load, look
from scaler.settings.model import Settings

__all__ = ["Settings", "load", "load_settings", "look"]

#: `load`, under the name that `from scaler import …` gives it
load_settings = load
