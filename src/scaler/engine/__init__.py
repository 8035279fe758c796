"""The world in memory, and the loop that makes it look like the plan."""

from scaler.engine.core import Engine

__all__ = ["Engine"]
