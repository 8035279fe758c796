"""One listener for each profile: begun, ended, and begun anew, while the others go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from scaler_github.queue.listener import Listener
from scaler_github.queue.state import QueueState

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping

    from scaler import Context
    from scaler_github.account import Account
    from scaler_github.queue.adoption import Adopt
    from scaler_github.queue.alarms import Alarms
    from scaler_github.queue.waits import Pace

ENDING = 20.0  # seconds for a listener to end: what it has in hand, and its session


@dataclass(frozen=True)
class Terms:
    """What a listener is made by; with others it has to be another one.

    Attributes:
        scale_set, group, adopt: As the settings have them.
        labels: What the scale set is to be labelled with.
        connection: The name of its account.
    """

    scale_set: str
    group: str
    adopt: Adopt
    labels: tuple[str, ...]
    connection: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What nobody else may listen to; GitHub compares names without case."""
        return self.connection, self.group.lower(), self.scale_set.lower()


class Line:
    """A profile's listener, and how it is ended.

    Attributes:
        over: Set when it has ended.
        closed: Whether GitHub is to assign nothing more.
    """

    def __init__(self, listener: Listener, account: Account, terms: Terms) -> None:
        self.listener = listener
        self.account = account
        self.terms = terms
        self.over = trio.Event()
        self.closed = False
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Listen until it is ended, or the scaler stops."""
        try:
            with self._scope:
                async with self.account.open(), trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch_credential, name="watch of the credential")
                    await self.listener.run(self.account.actions)
                    nursery.cancel_scope.cancel()
        finally:
            self.listener.state.lost()
            self.over.set()

    async def _watch_credential(self) -> None:
        while True:
            await self.account.replaced.wait()
            self.listener.sign_in_again()

    def close(self) -> None:
        """Have GitHub assign nothing more, and go on with what is assigned."""
        self.closed = True
        self.listener.close()

    async def end(self) -> None:
        """Finish what is in hand, and close the session; it is not taken up again."""
        self.listener.end()
        with trio.move_on_after(ENDING):
            await self.over.wait()
        self._scope.cancel()  # what was not acknowledged comes again
        await self.over.wait()


class Lines:
    """The listeners, by profile, and how their queues are.

    Attributes:
        states: How each profile's queue is; another object where another listener was begun.
        poll_timeout: How long GitHub may hold a poll back, in seconds.
        changed: Set, and replaced by another, when `states` are others.
    """

    def __init__(self, context: Context[Any, Any], alarms: Alarms, pace: Pace) -> None:
        self.states: dict[str, QueueState] = {profile: QueueState() for profile in context.own}
        self.poll_timeout = 0.0
        self.changed = trio.Event()
        self._context = context
        self._alarms = alarms
        self._pace = pace
        self._lines: dict[str, Line] = {}
        self._waiting: dict[str, tuple[Terms, Account]] = {}  # for another to leave their place
        self._nursery: trio.Nursery | None = None

    def __getitem__(self, profile: str) -> Line:
        """A profile's listener. Raises LookupError where nobody listens for it."""
        return self._lines[profile]

    def get(self, profile: str) -> Line | None:
        """A profile's listener; None where nobody listens for it."""
        return self._lines.get(profile)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._lines))

    def __bool__(self) -> bool:
        return self._nursery is not None

    async def run(
        self,
        wanted: Mapping[str, tuple[Terms, Account]],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen for these until the scaler stops, and for those that come meanwhile."""
        async with trio.open_nursery() as nursery:
            self._lines, self._waiting = {}, {}
            self._nursery = nursery
            try:
                for profile, (terms, account) in wanted.items():
                    self.join(profile, terms, account)
                task_status.started()
                await self._context.stopping.wait()
            finally:
                self._nursery = None

    def join(self, profile: str, terms: Terms, account: Account) -> None:
        """Begin to listen for a profile, or as soon as nobody else listens at its place."""
        if self._nursery is None or self._context.stopping.is_set():
            return  # the start will see to it
        if holder := self._holder(profile, terms):
            self._waiting[profile] = terms, account
            self._context.report(_waits(holder, terms), ok=False, profile=profile)
            return
        self._waiting.pop(profile, None)
        self.states[profile] = QueueState()
        listener = Listener(
            self._context,
            profile,
            name=terms.scale_set,
            group=terms.group,
            labels=terms.labels,
            scope=account.scope,
            adopt=terms.adopt,
            alarms=self._alarms,
            state=self.states[profile],
            poll_timeout=self.poll_timeout,
            pace=self._pace,
        )
        self._lines[profile] = line = Line(listener, account, terms)
        self._nursery.start_soon(line.run, name=f"listener of {profile}")
        self._ring()

    def waiting(self) -> dict[str, str]:
        """The profiles that wait for another one to leave their place, and in words for which."""
        return {
            profile: _waits(self._holder(profile, terms), terms)
            for profile, (terms, _) in self._waiting.items()
        }

    async def leave(self, profile: str) -> None:
        """End a profile's listener; its scale set stays. Whoever waits for its place begins."""
        self._waiting.pop(profile, None)
        if (line := self._lines.get(profile)) is not None:
            await line.end()
            if self._lines.get(profile) is not line:
                return  # the service began anew meanwhile: this one is another
            del self._lines[profile]
            self._alarms.forget(profile)
        if self.states.pop(profile, None) is not None:
            self._ring()
        for waiting, (terms, account) in list(self._waiting.items()):
            self.join(waiting, terms, account)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done beside the listeners; whatever goes wrong with it is logged."""

        async def run() -> None:
            try:
                await work
            except Exception:
                self._context.log.exception("beside the listeners")

        if self._nursery is None:
            work.close()
        else:
            self._nursery.start_soon(run)

    def set_poll_timeout(self, seconds: float) -> None:
        """Go by another one from the next poll on."""
        self.poll_timeout = seconds
        for line in self._lines.values():
            line.listener.poll_timeout = seconds

    def _holder(self, profile: str, terms: Terms) -> str:
        for other, line in self._lines.items():
            if other != profile and line.terms.place == terms.place:
                return other
        return ""

    def _ring(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


def _waits(holder: str, terms: Terms) -> str:
    return f"profile {holder} still listens to scale set {terms.scale_set}: waits for that"
