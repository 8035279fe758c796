"""Plugins: found, imported, verified, registered."""

from scaler.loading.find import Found, find, implementing, lookup
from scaler.loading.load import LoadedPlugin, build, load_classes, load_one, validate
from scaler.loading.register import register

__all__ = [
    "Found",
    "LoadedPlugin",
    "build",
    "find",
    "implementing",
    "load_classes",
    "load_one",
    "lookup",
    "register",
    "validate",
]
