"""Delivering hooks: five kinds, deadlines, breakers, and a name on every failure."""

from scaler.dispatch.dispatcher import Dispatcher, Gathered
from scaler.dispatch.tracing import HookCall

__all__ = ["Dispatcher", "Gathered", "HookCall"]
