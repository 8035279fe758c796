"""Why nothing of a profile can be had now, however long one waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.errors import Unavailable
from scaler.model.orders import told

if TYPE_CHECKING:
    from scaler.engine.state import State

AGAIN = 5.0  # seconds after which it may be worth asking again
PAUSED = 60.0  # the same where a person has to do something first


def refusal(state: State, profile: str) -> Unavailable | None:
    """What whoever wants runners of this profile is answered, or None where they may wait.

    Who wants those of a profile that is new in the settings may: its plugins are being told of it,
    and that takes seconds. `State.shut` counts such a profile, too.
    """
    if state.stopping:
        return Unavailable("this scaler is stopping", AGAIN)
    if (order := state.orders.get(("pause", profile))) is not None:
        return Unavailable(f"{profile} is paused {told(order)}", PAUSED)
    if profile in state.leaving_profiles:
        return Unavailable(f"{profile} is not in the settings any more", PAUSED)
    return None
