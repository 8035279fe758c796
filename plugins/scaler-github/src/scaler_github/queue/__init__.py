"""The plugin `actions-queue`: jobs from the Actions message queue, just-in-time runners."""

from scaler_github.queue.plugin import ActionsQueue

__all__ = ["ActionsQueue"]
