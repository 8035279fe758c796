"""`scaler init`: asks what a settings file must say, and writes one that explains itself."""

from scaler_github.init.command import command

__all__ = ["command"]
