"""Refusals of the simulated world, in the forms in which GitHub gives them."""

from __future__ import annotations

from scaler_github.testing.http import Response, json_response

_DOCS = "https://docs.github.com/rest"


class Refusal(Exception):
    """The Actions service says no.

    Attributes:
        status: the HTTP status.
        kind: the .NET exception's name without its namespace.
        message: the text for people.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(f"{status} {kind}: {message}")
        self.status = status
        self.kind = kind
        self.message = message

    def response(self) -> Response:
        """The answer that a client of the Actions service gets."""
        return json_response(
            self.status,
            {
                "$id": "1",
                "innerException": None,
                "message": self.message,
                "typeName": f"GitHub.Actions.Runtime.WebApi.{self.kind}, "
                "GitHub.Actions.Runtime.WebApi",
                "typeKey": self.kind,
                "errorCode": 0,
                "eventId": 3000,
            },
        )


def unauthorized(message: str) -> Refusal:
    """A token is missing, unknown, of another kind or expired."""
    return Refusal(401, "AccessDeniedException", message)


def bad_request(message: str) -> Refusal:
    """The client sent something that makes no sense."""
    return Refusal(400, "ArgumentException", message)


def no_scale_set(scale_set_id: object) -> Refusal:
    """A scale set does not exist, any more or yet."""
    return Refusal(
        404,
        "RunnerScaleSetNotFoundException",
        f"No runner scale set found with identifier {scale_set_id}.",
    )


def no_session(session_id: object) -> Refusal:
    """A session was deleted, expired, or never was."""
    return Refusal(
        404,
        "RunnerAdminException",
        f"A request was made with a session ID that doesn't exist in redis: {session_id}.",
    )


def no_agent(agent_id: object) -> Refusal:
    """An agent does not exist, any more or yet."""
    return Refusal(
        404, "AgentNotFoundException", f"No agent found in pool 0 with identifier {agent_id}."
    )


class RestRefusal(Exception):
    """The REST API says no: `{"message", "documentation_url", "status"}`."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.headers = headers

    def response(self) -> Response:
        """The answer that a client of the REST API gets."""
        return json_response(
            self.status,
            {"message": self.message, "documentation_url": _DOCS, "status": str(self.status)},
            **self.headers,
        )
