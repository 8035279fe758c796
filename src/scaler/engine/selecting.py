"""Who may reserve runners: the plugins decide, once for all who ask the same."""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
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

REMEMBERED = 10_000  # of whom it is known that a selector let them pass


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
        # by the run, too: who asks with an id that is not its own holds nobody up
        self._passed: OrderedDict[tuple[str, str, str], Selection] = OrderedDict()
        self._asking: dict[tuple[str, str, str], _Asking] = {}

    async def select(self, request: SelectionRequest) -> Selection:
        """See `Context.select`."""
        known = self._known(request.unique_id)
        if known is not None and known.selected:
            if not known.is_by(request.qualified_repo, request.run_id):
                raise Refused("unique-id-used", "another run has asked with this unique_id")
            await trio.lowlevel.checkpoint()
            return Selection(profile=known.profile, count=known.count)
        if self._state.stopping:
            raise Unavailable("this scaler is stopping")
        key = (request.unique_id, request.qualified_repo.casefold(), request.run_id)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = _Asking(request)
            self._nursery.start_soon(self._ask, key, asking, name="select")
        # (each selector has the contract's time: this is for one that holds the loop)
        with trio.move_on_after(self._longest()):
            await asking.done.wait()
        if asking.error is not None:
            raise copy(asking.error)  # each caller its own: it collects where it went through
        if asking.selection is None:
            raise Unavailable("it took too long")
        return asking.selection

    def passed(self, grant: Grant) -> bool:
        """Whether a selector let just this pass."""
        key = (grant.unique_id, grant.qualified_repo.casefold(), grant.run_id)
        return self._passed.get(key) == Selection(profile=grant.profile, count=grant.count)

    def _longest(self) -> float:
        selectors = len(self._state.hooks.implementers(SPEC.select_runner))
        return contract(SPEC.select_runner).deadline * selectors + 5.0

    async def _ask(self, key: tuple[str, str, str], asking: _Asking) -> None:
        try:
            found = await self._state.hooks.ask(SPEC.select_runner, request=asking.request)
            if found is None:
                asking.error = Refused("nobody-decides", "no plugin here decides on this request")
            else:
                asking.selection = found[1]
                self._passed[key] = asking.selection
                while len(self._passed) > REMEMBERED:
                    self._passed.popitem(last=False)
        except Outcome as error:
            asking.error = error
        finally:
            del self._asking[key]
            asking.done.set()


class _Asking:
    """A question that is not answered yet."""

    def __init__(self, request: SelectionRequest) -> None:
        self.request = request
        self.done = trio.Event()
        self.selection: Selection | None = None
        self.error: Exception | None = None
