"""The Actions service: scale sets, sessions and runners, one method per call.

Every method makes one call (after a refused token one more) and raises `GitHubError` unless it
succeeds. When to try again is the caller's decision, by `retry`.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING, TypeVar

import msgspec

from scaler_github.client import types, urls
from scaler_github.client.classify import GitHubError, Kind, Verdict, classify, request_id
from scaler_github.client.exchange import send
from scaler_github.client.transport import Request, authorization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scaler_github.client.credentials import Admin, Credentials
    from scaler_github.client.transport import Response

T = TypeVar("T")
DEFAULT_GROUP = 1
_SETS = "_apis/runtime/runnerscalesets"
_AGENTS = "_apis/distributedtask/pools/0/agents"


class Actions:
    """The Actions service of one scope."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    # Scale sets

    async def find_scale_set(self, name: str, group: int) -> types.ScaleSet | None:
        """The scale set of this name in this runner group, or None."""
        what = f"look up scale set {name}"
        response = await self._call(
            "GET", _SETS, what, query={"name": name, "runnerGroupId": group}
        )
        # The filter is the service's; that it was heeded is not taken on trust
        found = [
            one
            for one in _list(response, types.ScaleSet, what)
            if one.name.lower() == name.lower() and one.runner_group_id in (0, group)
        ]
        if len(found) > 1:
            raise GitHubError(Verdict(Kind.BUG, f"there are {len(found)} scale sets named {name}"))
        return found[0] if found else None

    async def get_scale_set(self, scale_set_id: int) -> types.ScaleSet | None:
        """A scale set by its id, or None. Whether its statistics are told is GitHub's secret."""
        what = f"look at scale set {scale_set_id}"
        try:
            response = await self._call("GET", f"{_SETS}/{scale_set_id}", what)
        except GitHubError as error:
            if error.kind is Kind.GONE:
                return None
            raise
        return _one(response, types.ScaleSet, what)

    async def create_scale_set(
        self, name: str, group: int, labels: Sequence[str]
    ) -> types.ScaleSet:
        """Make a scale set. A name that is taken may be answered with 400 or 409."""
        what = f"create scale set {name}"
        body = _scale_set_body(name, group, labels)
        return _one(await self._call("POST", _SETS, what, body=body), types.ScaleSet, what)

    async def update_scale_set(
        self, scale_set_id: int, name: str, group: int, labels: Sequence[str]
    ) -> types.ScaleSet:
        """Set a scale set's labels."""
        what = f"update scale set {name}"
        body = _scale_set_body(name, group, labels)
        path = f"{_SETS}/{scale_set_id}"
        return _one(await self._call("PATCH", path, what, body=body), types.ScaleSet, what)

    async def runner_group(self, name: str) -> types.RunnerGroup | None:
        """The runner group of this name, or None."""
        what = f"look up runner group {name}"
        response = await self._call(
            "GET", "_apis/runtime/runnergroups/", what, query={"groupName": name}
        )
        groups = _list(response, types.RunnerGroup, what)
        return next((group for group in groups if group.name.lower() == name.lower()), None)

    # Sessions

    async def create_session(self, scale_set_id: int, owner: str) -> types.Session:
        """Open the scale set's one session. CONFLICT: another holds it. Never repeat blindly."""
        what = f"open the session of scale set {scale_set_id}"
        path = f"{_SETS}/{scale_set_id}/sessions"
        response = await self._call("POST", path, what, body={"ownerName": owner}, secret=True)
        return _one(response, types.Session, what)

    async def refresh_session(self, scale_set_id: int, session_id: str) -> types.Session:
        """A new queue token for a session. GONE: the session no longer exists."""
        what = f"refresh the session of scale set {scale_set_id}"
        path = f"{_SETS}/{scale_set_id}/sessions/{urls.segment(session_id)}"
        return _one(await self._call("PATCH", path, what, secret=True), types.Session, what)

    async def delete_session(self, scale_set_id: int, session_id: str) -> None:
        """Close a session; one that does not exist is closed."""
        path = f"{_SETS}/{scale_set_id}/sessions/{urls.segment(session_id)}"
        await self._gone("DELETE", path, f"close the session of scale set {scale_set_id}")

    async def acquire_jobs(
        self, scale_set_id: int, request_ids: Sequence[int], queue_token: str
    ) -> list[int]:
        """Acquire jobs; answer the ids of those that are ours now."""
        what = f"acquire jobs of scale set {scale_set_id}"
        path = f"{_SETS}/{scale_set_id}/acquirejobs"
        response = await self._call("POST", path, what, body=list(request_ids), token=queue_token)
        return [] if _empty(response) else _list(response, int, what)

    async def acquirable_jobs(self, scale_set_id: int) -> list[types.AcquirableJob]:
        """The jobs that wait to be acquired. Older and newer services do not know this call."""
        what = f"list the acquirable jobs of scale set {scale_set_id}"
        response = await self._call("GET", f"{_SETS}/{scale_set_id}/acquirablejobs", what)
        return [] if _empty(response) else _list(response, types.AcquirableJob, what)

    # Runners

    async def generate_jit_config(
        self, scale_set_id: int, name: str, work_folder: str
    ) -> types.JitConfig:
        """Register a runner. EXISTS: the name is taken. Never repeat blindly.

        Raises:
            GitHubError: Also (RETRY) where the answer cannot be used: the runner may exist then.
        """
        what = f"register runner {name}"
        path = f"{_SETS}/{scale_set_id}/generatejitconfig"
        body = {"name": name, "workFolder": work_folder}
        response = await self._call("POST", path, what, body=body, secret=True)
        made = _one(response, types.JitConfig, what)
        if not made.runner.id or not usable_jit_config(made.encoded_jit_config):
            raise _unreadable(what, "no usable configuration in it", response)
        return made

    async def agents(self, wanted: Callable[[str], bool] = lambda _name: True) -> list[types.Agent]:
        """Every runner of the scope whose name is wanted: all of them, or an error."""
        what = "list runners"
        response = await self._call("GET", _AGENTS, what)
        return on(response, what, lambda body: types.read_list(body, types.Agent, wanted))

    async def agent_by_name(self, name: str) -> types.Agent | None:
        """The runner of this name, or None."""
        what = f"look up runner {name}"
        response = await self._call("GET", _AGENTS, what, query={"agentName": name})
        agents = on(response, what, lambda body: types.read_list(body, types.Agent, name.__eq__))
        return agents[0] if agents else None

    async def agent(self, agent_id: int) -> types.Agent | None:
        """The runner of this number, or None; certain, also while lists do not show it yet."""
        what = f"look at runner {agent_id}"
        try:
            response = await self._call("GET", f"{_AGENTS}/{agent_id}", what)
        except GitHubError as error:
            if error.kind is Kind.GONE:
                return None
            raise
        return _one(response, types.Agent, what)

    async def delete_agent(self, agent_id: int) -> None:
        """Remove a runner; one that does not exist is removed. BUSY: it is running a job."""
        await self._gone("DELETE", f"{_AGENTS}/{agent_id}", f"remove runner {agent_id}")

    # How a call is made

    async def _gone(self, method: str, path: str, what: str) -> None:
        try:
            await self._call(method, path, what)
        except GitHubError as error:
            if error.kind is not Kind.GONE:  # what is gone already is what was asked for
                raise

    async def _call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        token: str = "",
        secret: bool = False,
    ) -> Response:
        def request(admin: Admin) -> Request:
            return Request(
                method,
                urls.service_url(admin.url, path, query),
                {
                    **authorization("Bearer", token or admin.token),
                    "Accept": "application/json",
                    "Content-Type": "application/json",
                },
                b"" if body is None else msgspec.json.encode(body),
            )

        admin = await self.credentials.admin()
        response = await exchange(self.credentials, request(admin), what)
        if response.status == 401 and not token:
            admin = await self.credentials.admin(refused=admin)
            response = await exchange(self.credentials, request(admin), what)
        checked(self.credentials, response, what, secret=secret)
        return response


async def exchange(
    credentials: Credentials,
    request: Request,
    what: str,
    *,
    poll: bool = False,
    deadline: float = 30.0,
) -> Response:
    """One exchange with the service or the queue, unless a rate limit forbids it."""
    credentials.service_limits.check()
    return await send(credentials.transport, request, what, poll=poll, deadline=deadline)


def checked(
    credentials: Credentials, response: Response, what: str, *, secret: bool = False
) -> Verdict:
    """Raise GitHubError unless it is a success; a rate limit is kept by all callers from now on."""
    verdict = classify(response, what, secret=secret, now=time.time())
    if verdict.kind is Kind.OK:
        credentials.service_limits.succeeded()
        return verdict
    if verdict.kind is Kind.WAIT:
        verdict = credentials.service_limits.refused(verdict, response)
    raise GitHubError(verdict)


def usable_jit_config(encoded: str) -> bool:
    """Whether it has the form that a runner reads: base64 of a JSON object with files in it."""
    try:
        files = types.decode(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):  # whatever cannot be decoded, no runner could read
        return False
    return isinstance(files, dict) and bool(files)


def on(response: Response, what: str, read: Callable[[bytes], T]) -> T:
    """Read an answer's body; one that cannot be read counts as a failure to try again."""
    try:
        return read(response.body)
    except ValueError as error:
        # msgspec names the place and the type that it met, never the value
        raise _unreadable(what, str(error), response) from None


def _one(response: Response, kind: type[T], what: str) -> T:
    return on(response, what, lambda body: types.read(body, kind))


def _list(response: Response, kind: type[T], what: str) -> list[T]:
    return on(response, what, lambda body: types.read_list(body, kind))


def _empty(response: Response) -> bool:
    return response.status in (202, 204) or not response.body.strip()


def _unreadable(what: str, why: str, response: Response) -> GitHubError:
    request = request_id(response.headers)
    told = f" (request {request})" if request else ""
    text = f"GitHub's answer to {what} is not readable: {why}{told}"
    return GitHubError(Verdict(Kind.RETRY, text, status=response.status))


def _scale_set_body(name: str, group: int, labels: Sequence[str]) -> dict[str, object]:
    return {
        "name": name,
        "runnerGroupId": group,
        "labels": [{"name": label, "type": "System"} for label in labels],
        "RunnerSetting": {"disableUpdate": True},  # the capital is the service's own
    }
