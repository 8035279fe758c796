"""Delivering hooks: five kinds, deadlines, breakers, and a name on every failure."""

from scaler.dispatch.calls import Call
from scaler.dispatch.dispatcher import Dispatcher, Gathered
from scaler.dispatch.holding import open_calls
from scaler.dispatch.tracing import HookCall

__all__ = ["Call", "Dispatcher", "Gathered", "HookCall", "open_calls"]
