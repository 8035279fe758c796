"""A client of GitHub's Actions service: scale sets, the message queue, runners. Knows no scaler."""

from scaler_github.client.actions import DEFAULT_GROUP, Actions
from scaler_github.client.classify import GitHubError, Kind, Verdict
from scaler_github.client.credentials import Credentials, PersonalToken, RestToken
from scaler_github.client.message import QueueMessage, Unreadable
from scaler_github.client.retry import Backoff, repeat
from scaler_github.client.session import QueueSession, SessionLost
from scaler_github.client.transport import Transport, TransportError
from scaler_github.client.urls import Scope, parse_config_url

__all__ = [
    "DEFAULT_GROUP",
    "Actions",
    "Backoff",
    "Credentials",
    "GitHubError",
    "Kind",
    "PersonalToken",
    "QueueMessage",
    "QueueSession",
    "RestToken",
    "Scope",
    "SessionLost",
    "Transport",
    "TransportError",
    "Unreadable",
    "Verdict",
    "parse_config_url",
    "repeat",
]
