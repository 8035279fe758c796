"""What each runner went through, for as long as it is there: for whoever asks why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from scaler.records import Event, Runner

LONGEST = 50  # states, and events, that are remembered of one runner: the last ones

T = TypeVar("T")


class Story:
    """One runner's states and events, oldest first; those of this run of scaler."""

    __slots__ = ("events", "steps")

    def __init__(self) -> None:
        self.steps: list[Runner] = []
        self.events: list[Event] = []


class Stories:
    """Everyone's."""

    def __init__(self) -> None:
        self._known: dict[int, Story] = {}

    def step(self, runner: Runner) -> None:
        """A runner came to a state."""
        _add(self._known.setdefault(runner.id, Story()).steps, runner)

    def event(self, event: Event) -> None:
        """Something happened, perhaps to a runner that is there."""
        story = self._known.get(event.runner) if event.runner is not None else None
        if story is not None:
            _add(story.events, event)

    def of(self, runner_id: int) -> Story:
        """What is remembered of a runner."""
        return self._known.get(runner_id) or Story()

    def drop(self, runner_id: int) -> None:
        """It is gone."""
        self._known.pop(runner_id, None)


def _add(items: list[T], item: T) -> None:
    items.append(item)
    if len(items) > 2 * LONGEST:
        del items[:-LONGEST]
