"""Delivering hooks: five kinds, deadlines, breakers, and a name on every failure."""

from scaler.dispatch.dispatcher import Dispatcher, Gathered

__all__ = ["Dispatcher", "Gathered"]
