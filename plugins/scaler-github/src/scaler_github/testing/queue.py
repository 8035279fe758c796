"""The message queue: the long poll and the deletion of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler_github.testing import errors, messages, render, tokens
from scaler_github.testing.http import Request, Response, json_response
from scaler_github.testing.routing import Routes
from scaler_github.testing.site import parse_id

if TYPE_CHECKING:
    from scaler_github.testing.records import ScaleSet, Session
    from scaler_github.testing.site import Site

#: How a client says the total of runners that the scale set may have now.
CAPACITY_HEADER = "x-scalesetmaxcapacity"


class QueueService:
    """Handlers of the queue; they take the queue token and the URL that came with it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._world = site.world
        self.routes = Routes("queue")
        self.routes.add("poll", "GET", "", self.poll)
        self.routes.add("delete-message", "DELETE", "/{message}", self.delete)

    def _session(self, request: Request) -> tuple[ScaleSet, Session]:
        ticket = request.query.get("sessionToken")
        if ticket is None:
            raise errors.bad_request("The query of the message queue URL was not kept.")
        token = self._site.authorized(request, "Bearer", tokens.QUEUE)
        if token is None or token.ticket != ticket:
            raise errors.unauthorized(
                "The message queue token is missing, wrong, expired, or of another URL."
            )
        return self._world.session_by_id(token.session_id, token.scale_set_id)

    async def poll(self, request: Request) -> Response:
        """Answers 200 with a message as soon as there is one, 202 if none comes."""
        one, session = self._session(request)
        world = self._world
        cursor = parse_id(request.query.get("lastMessageId", "0"))
        advertised = request.headers.get(CAPACITY_HEADER)
        world.advertise(one, None if advertised is None else parse_id(advertised))
        session.seen = world.now()
        session.waiting += 1
        world.changed.ring()
        try:
            with trio.move_on_after(world.options.poll_seconds):
                while True:
                    message = None
                    if not world.options.silent:
                        message = messages.fetch(one, cursor, world.message_ids)
                    if message is not None:
                        return json_response(200, render.message(message, one))
                    await one.bell.wait()
                    world.session_by_id(session.id, one.id)
            return Response(202)
        finally:
            session.waiting -= 1
            session.seen = world.now()

    def delete(self, request: Request, *, message: str) -> Response:
        """204; 404 if no message of this id waits for being deleted."""
        one, session = self._session(request)
        session.seen = self._world.now()
        if not messages.acknowledge(one, parse_id(message)):
            raise errors.Refusal(
                404, "MessageNotFoundException", f"No message found with identifier {message}."
            )
        self._world.changed.ring()
        return Response(204)
