"""A client of GitHub's Actions service: scale sets, the message queue, runners. Knows no scaler."""

from scaler_github.client.actions import DEFAULT_GROUP, Actions
from scaler_github.client.classify import GitHubError, Kind, Verdict
from scaler_github.client.clock import ServerClock
from scaler_github.client.credentials import Credentials
from scaler_github.client.exchange import Exchange
from scaler_github.client.limits import Limits, Purpose
from scaler_github.client.message import QueueMessage, Unreadable
from scaler_github.client.rest import Rest
from scaler_github.client.retry import Backoff, repeat
from scaler_github.client.session import QueueSession, SessionLost
from scaler_github.client.tokens import AppToken, PersonalToken, Reread, RestToken
from scaler_github.client.transport import Transport, TransportError
from scaler_github.client.urls import Scope, parse_config_url

__all__ = [
    "DEFAULT_GROUP",
    "Actions",
    "AppToken",
    "Backoff",
    "Credentials",
    "Exchange",
    "GitHubError",
    "Kind",
    "Limits",
    "PersonalToken",
    "Purpose",
    "QueueMessage",
    "QueueSession",
    "Reread",
    "Rest",
    "RestToken",
    "Scope",
    "ServerClock",
    "SessionLost",
    "Transport",
    "TransportError",
    "Unreadable",
    "Verdict",
    "parse_config_url",
    "repeat",
]
