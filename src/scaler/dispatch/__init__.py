"""Delivering hooks: five kinds, deadlines, breakers, and a name on every failure."""

from scaler.dispatch.calls import Call
from scaler.dispatch.dispatcher import Dispatcher, Gathered
from scaler.dispatch.holding import AT_ONCE, open_calls, part
from scaler.dispatch.tracing import HookCall

__all__ = ["AT_ONCE", "Call", "Dispatcher", "Gathered", "HookCall", "open_calls", "part"]
