"""What stands in each room, as far as scaler knows. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler.records import Machine, View


def standing(view: View, builders: Iterable[tuple[str, Machine]]) -> Counter[tuple[str, str]]:
    """Runners and machines that make images, by plugin and room.

    A runner that is gone may be in the ledger still; nothing of it stands anywhere.

    Args:
        view: What there is.
        builders: Machines that make images, by their plugin.
    """
    found = Counter(
        (runner.provisioner, runner.room)
        for runner in view.runners
        if runner.state is not RunnerState.GONE
    )
    found.update((plugin, machine.room) for plugin, machine in builders)
    return found
