"""The encoded JIT configuration: what a runner needs to be somebody, once."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from scaler_github.testing.records import Agent


def _file(value: object) -> str:
    return base64.b64encode(msgspec.json.encode(value)).decode()


_NUMBER = base64.b64encode(bytes(range(128))).decode()
_RSA = _file(dict.fromkeys(("d", "dp", "dq", "inverseQ", "modulus", "p", "q"), _NUMBER))


def encode(agent: Agent, server_url: str, work_folder: str) -> str:
    """Base64 of a JSON object: file name to base64 content, as the runner unpacks it."""
    runner = {
        "AgentId": str(agent.id),
        "AgentName": agent.name,
        "PoolId": "0",
        "DisableUpdate": "true",
        "Ephemeral": "true",
        "ServerUrl": server_url,
        "WorkFolder": work_folder,
        "UseV2Flow": "true",
        "ServerUrlV2": server_url,
    }
    credentials = {
        "Scheme": "OAuth",
        "Data": {
            "clientId": str(uuid.UUID(int=agent.id)),
            "authorizationUrl": f"{server_url}oauth2/token",
            "authorizationUrlV2": f"{server_url}oauth2/token",
            "requireFipsCryptography": "True",
        },
    }
    files = {
        ".runner": _file(runner),
        ".credentials": _file(credentials),
        ".credentials_rsaparams": _RSA,
    }
    return base64.b64encode(msgspec.json.encode(files)).decode()


def decode(encoded: str) -> dict[str, Any]:
    """The `.runner` file in an encoded JIT configuration.

    Raises:
        ValueError: it is not one.
    """
    files = msgspec.json.decode(base64.b64decode(encoded, validate=True))
    runner = msgspec.json.decode(base64.b64decode(files[".runner"]))
    if not isinstance(runner, dict):
        raise ValueError(".runner does not hold an object")
    return runner
