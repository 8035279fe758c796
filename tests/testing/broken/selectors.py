"""A selector that keeps its promises, and for each of them one that does not."""

from __future__ import annotations

from typing import Any

import trio

from scaler import Context, Refused, Selection, SelectionRequest, hookimpl
from scaler.testing import promises_selector
from scaler.testing.promises import Promise

ALLOWED = SelectionRequest(unique_id="u-1", qualified_repo="acme/web", run_id="7")
REFUSED = (
    SelectionRequest(unique_id="u-2", qualified_repo="acme/web", run_id="7"),
    SelectionRequest(unique_id="u-1", qualified_repo="acme/other", run_id="7"),
)


class Selector:
    """Keeps every promise: it looks a proof up, and believes nothing else."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context

    async def proof(self, request: SelectionRequest) -> bool:
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        mine = ALLOWED.unique_id, ALLOWED.qualified_repo, ALLOWED.run_id
        return (request.unique_id, request.qualified_repo, request.run_id) == mine

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        if not await self.proof(request):
            raise Refused("no-proof", "there is no proof")
        return Selection(profile="linux")


class Plain:
    """Keeps every promise, in threads, and leaves to others what it does not know."""

    def __init__(self, context: Context[Any, Any]) -> None:
        del context

    @hookimpl
    def select_runner(self, request: SelectionRequest) -> Selection | None:
        return Selection(profile="linux") if request == ALLOWED else None


class Nowhere(Selector):
    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        found = await super().select_runner(request)
        return found and Selection(profile="windows")


class NoRunners(Selector):
    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        found = await super().select_runner(request)
        return found and Selection(profile="linux", count=0)


class Silent(Selector):
    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        await trio.lowlevel.checkpoint()
        return None


class TrustsItsRepository(Selector):
    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        await trio.lowlevel.checkpoint()
        if request.qualified_repo == ALLOWED.qualified_repo:
            return Selection(profile="linux")
        return None


class LetsEveryoneIn(Selector):
    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        if request in REFUSED:
            raise Refused("no-proof")
        return Selection(profile="linux")


class Chokes(Selector):
    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        request.unique_id.encode("ascii")
        return await super().select_runner(request)


class ChokesOnItsOwn(Selector):
    """Only for whom it believes in the rest does it look closely."""

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        if request.unique_id == ALLOWED.unique_id:
            int(request.run_id)
        return await super().select_runner(request)


class OneDesk(Selector):
    """Keeps what it is asked where the next one writes, too."""

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        self.request = request
        await trio.lowlevel.checkpoint()
        return await super().select_runner(self.request)


class NeverTwice(Selector):
    """Believes that one who was broken off is still being answered."""

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__(context)
        self.stuck: set[SelectionRequest] = set()

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        if request in self.stuck:
            raise Refused("asked-already")
        try:
            return await super().select_runner(request)
        except trio.Cancelled:
            self.stuck.add(request)
            raise


GOOD = (Selector, Plain)
BROKEN: tuple[tuple[type[Any], Promise], ...] = (
    (Nowhere, promises_selector.SELECTS),
    (NoRunners, promises_selector.SELECTS),
    (Silent, promises_selector.SELECTS),
    (TrustsItsRepository, promises_selector.REFUSES),
    (LetsEveryoneIn, promises_selector.UNPROVEN),
    (Chokes, promises_selector.UNPROVEN),
    (ChokesOnItsOwn, promises_selector.UNPROVEN),
    (OneDesk, promises_selector.AT_ONCE),
    (NeverTwice, promises_selector.SELECT_CUT),
)
