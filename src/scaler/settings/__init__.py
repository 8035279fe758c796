"""From one TOML file to frozen settings, with every mistake reported at once."""

from scaler.settings.load import Again, load, load_again, look
from scaler.settings.model import Settings

__all__ = ["Again", "Settings", "load", "load_again", "load_settings", "look"]

#: `load`, under the name that `from scaler import …` gives it
load_settings = load
