"""A simulator of GitHub for the tests of scaler, of its plugins, and of other clients."""

from scaler_github.testing.artifacts import Artifact, Run
from scaler_github.testing.errors import Refusal
from scaler_github.testing.faults import Fault
from scaler_github.testing.guests import Guests
from scaler_github.testing.history import Exchange
from scaler_github.testing.options import Options
from scaler_github.testing.rates import RateLimit
from scaler_github.testing.records import Agent, Job, Message, ScaleSet, Session
from scaler_github.testing.simulator import Simulator
from scaler_github.testing.tokens import DEFAULT_TOKEN, Lifetimes

__all__ = [
    "DEFAULT_TOKEN",
    "Agent",
    "Artifact",
    "Exchange",
    "Fault",
    "Guests",
    "Job",
    "Lifetimes",
    "Message",
    "Options",
    "RateLimit",
    "Refusal",
    "Run",
    "ScaleSet",
    "Session",
    "Simulator",
]
