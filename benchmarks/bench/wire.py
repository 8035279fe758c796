"""Answers of the stand-in as bytes, in the forms of GitHub's services; most are made beforehand."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

ZERO_TIME = b"0001-01-01T00:00:00Z"

_LENGTH = b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: "
_OK = b"HTTP/1.1 200 OK" + _LENGTH + b"%d\r\n\r\n%b"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


def ok(body: bytes) -> bytes:
    """An answer 200 with JSON."""
    return _OK % (len(body), body)


def answer(status: int, value: Any) -> bytes:
    """Any other answer with JSON; for what is asked rarely."""
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return head + _LENGTH + b"%d\r\n\r\n%b" % (len(body), body)


def error(status: int, kind: str, message: str) -> bytes:
    """A refusal, as the Actions service writes it."""
    name = f"GitHub.Actions.Runtime.WebApi.{kind}, GitHub.Actions.Runtime.WebApi"
    return answer(status, {"$id": "1", "typeName": name, "typeKey": kind, "message": message})


def jwt(claims: dict[str, Any], seconds: float = 3600.0) -> str:
    """A token that says when it ends; its signature is worth nothing."""
    head = {"typ": "JWT", "alg": "HS256"}
    now = int(time.time())
    whole = {**claims, "nbf": now, "iat": now, "exp": now + int(seconds)}
    parts = (json.dumps(head).encode(), json.dumps(whole).encode(), b"stand-in" * 4)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def stamp(seconds: float | None = None) -> bytes:
    """A time (Unix seconds, or now) with seven fractional digits."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z".encode()


# --- messages of the queue ---------------------------------------------------------------

_FIELDS = ("request", "assigned", "started", "finished", "runner_id")


def _entry(kind: str, **more: Any) -> bytes:
    """A job message, quoted as it stands inside the message's body, with places to fill in."""
    fields = {
        "messageType": kind,
        "runnerRequestId": "@request@",
        "repositoryName": "widgets",
        "ownerName": "acme",
        "jobId": "@job@",
        "jobWorkflowRef": "acme/widgets/.github/workflows/ci.yml@refs/heads/main",
        "jobDisplayName": "build",
        "workflowRunId": 9_000_000_001,
        "eventName": "push",
        "requestLabels": ["@set@"],
        "queueTime": "@queued@",
        "scaleSetAssignTime": "@assigned@",
        "runnerAssignTime": "@started@",
        "finishTime": "@finished@",
        **more,
    }
    text = json.dumps(json.dumps(fields, separators=(",", ":")))[1:-1]
    for name in ("request", "runner_id"):
        text = text.replace(f'\\"@{name}@\\"', f"%({name})d")
    for name in ("job", "set", "queued", "assigned", "started", "finished", "runner", "url"):
        text = text.replace(f"@{name}@", f"%({name})b")
    return text.encode()


AVAILABLE = _entry("JobAvailable", acquireJobUrl="@url@")
ASSIGNED = _entry("JobAssigned")
STARTED = _entry("JobStarted", runnerId="@runner_id@", runnerName="@runner@")
COMPLETED = _entry(
    "JobCompleted", result="succeeded", runnerId="@runner_id@", runnerName="@runner@"
)
_MESSAGE = (
    b'{"messageId":%d,"messageType":"RunnerScaleSetJobMessages","body":"[%b]","statistics":%b}'
)
_STATISTICS = (
    b'{"totalAvailableJobs":%d,"totalAcquiredJobs":%d,"totalAssignedJobs":%d,'
    b'"totalRunningJobs":%d,"totalRegisteredRunners":%d,"totalBusyRunners":%d,'
    b'"totalIdleRunners":%d}'
)


def message(number: int, entries: bytes, statistics: bytes) -> bytes:
    """A message of the queue, as an answer."""
    return ok(_MESSAGE % (number, entries, statistics))


def statistics(*counts: int) -> bytes:
    """The seven totals, in the order in which they stand in the protocol's type."""
    return _STATISTICS % counts


# --- runners -----------------------------------------------------------------------------

_NUMBER = base64.b64encode(bytes(range(128))).decode()
_RSA = base64.b64encode(
    json.dumps(dict.fromkeys(("d", "dp", "dq", "inverseQ", "modulus", "p", "q"), _NUMBER)).encode()
)
_RUNNER = (
    b'{"AgentId":"%d","AgentName":"%b","PoolId":"0","DisableUpdate":"true","Ephemeral":"true",'
    b'"ServerUrl":"%b","WorkFolder":"_work","UseV2Flow":"true","ServerUrlV2":"%b"}'
)
_CREDENTIALS = (
    b'{"Scheme":"OAuth","Data":{"clientId":"00000000-0000-0000-0000-%012d","authorizationUrl":'
    b'"%boauth2/token","authorizationUrlV2":"%boauth2/token","requireFipsCryptography":"True"}}'
)
_FILES = b'{".runner":"%b",".credentials":"%b",".credentials_rsaparams":"' + _RSA + b'"}'
_JIT = b'{"runner":{"id":%d,"name":"%b","runnerScaleSetId":%d},"encodedJITConfig":"%b"}'


def jit_config(number: int, name: bytes, scale_set: int, url: bytes) -> bytes:
    """The answer of generatejitconfig. `name` is already quoted for JSON."""
    runner = base64.b64encode(_RUNNER % (number, name, url, url))
    credentials = base64.b64encode(_CREDENTIALS % (number, url, url))
    encoded = base64.b64encode(_FILES % (runner, credentials))
    return ok(_JIT % (number, name, scale_set, encoded))


_AGENT = (
    b'{"id":%d,"name":"%b","runnerScaleSetId":%d,"os":"linux","version":"2.335.0","enabled":true,'
    b'"ephemeral":true,"status":"%b","busy":%b,"provisioningState":"Provisioned"}'
)


def agent(number: int, name: bytes, scale_set: int, online: bool, busy: bool) -> bytes:
    """A runner of the pool."""
    status = b"online" if online else b"offline"
    return _AGENT % (number, name, scale_set, status, b"true" if busy else b"false")


def listing(items: list[bytes]) -> bytes:
    """An answer with a list, and its length as the protocol wants it."""
    return ok(b'{"count":%d,"value":[%b]}' % (len(items), b",".join(items)))
