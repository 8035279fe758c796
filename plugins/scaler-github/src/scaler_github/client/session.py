"""A session of the message queue: its address and token, renewed under whoever uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler_github.client import types, urls
from scaler_github.client.actions import checked, exchange
from scaler_github.client.classify import GitHubError, Kind, Verdict
from scaler_github.client.message import read_message
from scaler_github.client.transport import Request, authorization

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_github.client.actions import Actions
    from scaler_github.client.message import QueueMessage
    from scaler_github.client.transport import Response

_GRACE = 30.0  # a poll's deadline lies this much behind the time at which the service answers
_AT_ONCE = 256 << 10  # a larger answer is read beside the loop, which would stand still


class SessionLost(GitHubError):
    """The session no longer exists: open another one."""


class QueueSession:
    """An open session. Polls, deletions and acquisitions may overlap.

    Attributes:
        statistics: As last told by the session itself.
        told: When it was asked for these, on trio's clock.
        renewals: How many times it was renewed.
    """

    def __init__(
        self, actions: Actions, scale_set_id: int, session: types.Session, told: float
    ) -> None:
        self._actions = actions
        self.scale_set_id = scale_set_id
        self._session = session
        self.statistics = session.statistics or types.Statistics()
        self.told = told
        self.renewals = 0
        self._lost = False
        self._lock = trio.Lock()

    @classmethod
    async def open(cls, actions: Actions, scale_set_id: int, owner: str) -> QueueSession:
        """Open the scale set's session.

        Raises:
            GitHubError: CONFLICT: another one holds it; GONE: there is no such scale set.
        """
        asked = trio.current_time()
        session = await actions.create_session(scale_set_id, owner)
        try:
            _check(session)
            if session.statistics is None:
                raise ValueError("no statistics in it")
        except ValueError as error:
            if session.session_id:
                # Half a session keeps the next one from being opened
                await actions.delete_session(scale_set_id, session.session_id)
            text = f"the session of scale set {scale_set_id} is not usable: {error}"
            raise GitHubError(Verdict(Kind.RETRY, text, status=200)) from None
        return cls(actions, scale_set_id, session, asked)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._session.session_id

    @property
    def host(self) -> str:
        """Host of the queue; message numbers mean something there only."""
        return urls.host_of(self._session.message_queue_url)

    async def poll(self, after: int, capacity: int, wait: float) -> QueueMessage | None:
        """Ask for the next message; None when there is none for now.

        Args:
            after: The number of the last message received; 0 asks for the first that is kept.
            capacity: How many runners the scale set can have in all, now.
            wait: How long the service holds an answer back, in seconds.

        Raises:
            SessionLost: Open another session.
            Unreadable: The answer is no message.
            GitHubError: Any other failure.
        """
        what = f"poll scale set {self.scale_set_id}"
        response = await self._authorised(
            what,
            lambda session: Request(
                "GET",
                urls.join(
                    session.message_queue_url, "", {"lastMessageId": after} if after > 0 else None
                ),
                {
                    **authorization("Bearer", session.message_queue_access_token),
                    "Accept": f"application/json; api-version={urls.API_VERSION}",
                    "X-ScaleSetMaxCapacity": str(max(0, capacity)),
                    # As an older description of the protocol has it; the service ignores it
                    "X-GitHub-Actions-Scale-Set-Max-Capacity": str(max(0, capacity)),
                },
            ),
            poll=True,
            deadline=wait + _GRACE,
        )
        self._check(response, what)
        if response.status == 202 or response.status == 204:
            return None
        if len(response.body) <= _AT_ONCE:
            return read_message(response, what)
        return await trio.to_thread.run_sync(read_message, response, what)

    async def delete_message(self, message_id: int) -> None:
        """Tell the queue that a message was received; one that does not exist was."""
        what = f"delete message {message_id} of scale set {self.scale_set_id}"
        response = await self._authorised(
            what,
            lambda session: Request(
                "DELETE",
                urls.join(session.message_queue_url, urls.segment(message_id)),
                {
                    **authorization("Bearer", session.message_queue_access_token),
                    "Content-Type": "application/json",
                },
            ),
        )
        if response.status != 404:
            self._check(response, what)

    async def acquire_jobs(self, request_ids: Sequence[int]) -> list[int]:
        """Acquire jobs; answer the ids of those that are ours now."""
        session = self._current()
        acquire = self._actions.acquire_jobs
        try:
            token = session.message_queue_access_token
            return await acquire(self.scale_set_id, request_ids, token)
        except GitHubError as error:
            if error.kind is not Kind.REFRESH:
                raise
        token = (await self._renew(session)).message_queue_access_token
        return await acquire(self.scale_set_id, request_ids, token)

    async def renew(self) -> bool:
        """Renew it though its token is good, for the statistics in the answer; whether they came.

        Raises:
            SessionLost: Open another session.
            GitHubError: Any other failure.
        """
        before = self.told
        await self._renew(self._current())
        return self.told > before

    async def _authorised(
        self,
        what: str,
        build: Callable[[types.Session], Request],
        *,
        poll: bool = False,
        deadline: float = 30.0,
    ) -> Response:
        """Send with the queue's token; after a 401 renew the session, and once more."""
        session = self._current()
        credentials = self._actions.credentials
        response = await exchange(credentials, build(session), what, poll=poll, deadline=deadline)
        if response.status == 401:
            session = await self._renew(session)
            response = await exchange(
                credentials, build(session), what, poll=poll, deadline=deadline
            )
        return response

    def _check(self, response: Response, what: str) -> None:
        try:
            checked(self._actions.credentials, response, what)
        except GitHubError as error:
            if error.kind is Kind.GONE:
                raise self._gone(error.verdict) from None
            raise

    def _current(self) -> types.Session:
        if self._lost:
            text = f"the session of scale set {self.scale_set_id} is being opened anew"
            raise SessionLost(Verdict(Kind.GONE, text))
        return self._session

    def _gone(self, verdict: Verdict) -> SessionLost:
        self._lost = True
        return SessionLost(verdict)

    async def _renew(self, refused: types.Session) -> types.Session:
        """A session with another token than the refused one; one caller renews for all."""
        async with self._lock:
            current = self._current()
            if current is not refused:
                return current
            try:
                asked = trio.current_time()
                renewed = await self._actions.refresh_session(self.scale_set_id, self.id)
                _check(renewed)
            except GitHubError as error:
                if error.kind is Kind.GONE:
                    raise self._gone(error.verdict) from None
                raise
            except ValueError as error:
                text = f"the renewed session of scale set {self.scale_set_id}: {error}"
                raise self._gone(Verdict(Kind.GONE, text)) from None
            self._session = renewed
            if renewed.statistics is not None:
                self.statistics, self.told = renewed.statistics, asked
            self.renewals += 1
            return renewed


def _check(session: types.Session) -> None:
    if not session.session_id:
        raise ValueError("no id in it")
    urls.check_base(session.message_queue_url)
    authorization("Bearer", session.message_queue_access_token)
