"""Plugins: found, imported, verified, registered."""

from scaler.loading.find import Found, find, lookup
from scaler.loading.load import LoadedPlugin, build, load_classes, load_one
from scaler.loading.register import register

__all__ = [
    "Found",
    "LoadedPlugin",
    "build",
    "find",
    "load_classes",
    "load_one",
    "lookup",
    "register",
]
