"""Forgejo Actions as a source of jobs: an example of a plugin, complete and tested."""

from scaler_forgejo.plugin import ForgejoSource

__all__ = ["ForgejoSource"]
