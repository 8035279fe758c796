"""Who may reserve runners: the plugins decide, once for all who ask the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler.errors import Outcome, Refused, Unavailable
from scaler.hooks import SPEC, contract
from scaler.records import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.state import State
    from scaler.model.grant import Grant
    from scaler.records import SelectionRequest


class Selecting:
    """Asks the selectors.

    Args:
        known: What was answered to a unique_id before, if anything.
    """

    def __init__(
        self, state: State, nursery: trio.Nursery, known: Callable[[str], Grant | None]
    ) -> None:
        self._state = state
        self._nursery = nursery
        self._known = known
        self._asking: dict[str, _Asking] = {}

    async def select(self, request: SelectionRequest) -> Selection:
        """See `Context.select`."""
        known = self._known(request.unique_id)
        if known is not None:
            if not known.is_by(request.qualified_repo, request.run_id):
                raise _used()
            await trio.lowlevel.checkpoint()
            return Selection(profile=known.profile, count=known.count)
        if self._state.stopping:
            raise Unavailable("this scaler is stopping")
        asking = self._asking.get(request.unique_id)
        if asking is None:
            asking = self._asking[request.unique_id] = _Asking(request)
            self._nursery.start_soon(self._ask, asking, name="select")
        elif not asking.is_by(request):
            raise _used()
        # (each selector has the contract's time: this is for one that holds the loop)
        with trio.move_on_after(self._longest()):
            await asking.done.wait()
        if asking.error is not None:
            raise asking.error
        if asking.selection is None:
            raise Unavailable("it took too long")
        return asking.selection

    def _longest(self) -> float:
        selectors = len(self._state.hooks.implementers(SPEC.select_runner))
        return contract(SPEC.select_runner).deadline * selectors + 5.0

    async def _ask(self, asking: _Asking) -> None:
        try:
            found = await self._state.hooks.ask(SPEC.select_runner, request=asking.request)
            if found is None:
                asking.error = Refused("nobody-decides", "no plugin here decides on this request")
            else:
                asking.selection = found[1]
        except Outcome as error:
            asking.error = error
        finally:
            del self._asking[asking.request.unique_id]
            asking.done.set()


class _Asking:
    """A question that is not answered yet."""

    def __init__(self, request: SelectionRequest) -> None:
        self.request = request
        self.done = trio.Event()
        self.selection: Selection | None = None
        self.error: Exception | None = None

    def is_by(self, other: SelectionRequest) -> bool:
        """Whether the other is by the same run of the same repository."""
        mine = self.request.qualified_repo.casefold(), self.request.run_id
        return mine == (other.qualified_repo.casefold(), other.run_id)


def _used() -> Refused:
    return Refused("unique-id-used", "another run asks, or has asked, with this unique_id")
