"""Runners by the REST API: listed, registered one by one, labelled, removed.

Every method makes the calls of one task and raises `GitHubError` unless it succeeds. When to try
again is the caller's decision, by `retry`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from scaler_github.client import rights, types, urls
from scaler_github.client.actions import DEFAULT_GROUP, usable_jit_config
from scaler_github.client.classify import GitHubError, Kind, Verdict
from scaler_github.client.limits import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_github.client.rest import Rest
    from scaler_github.client.transport import Response
    from scaler_github.client.urls import Scope

T = TypeVar("T")


class RestRunner(msgspec.Struct, frozen=True, kw_only=True):
    """A registered runner, as the REST API shows it."""

    id: types.Int64
    name: str = ""
    status: str | int = ""
    busy: bool | None = None
    labels: Any = None

    @property
    def online(self) -> bool | None:
        """None where the answer does not tell."""
        return types.online(self.status)

    @property
    def label_names(self) -> list[str]:
        """Its labels, as far as the answer tells them."""
        entries = self.labels if isinstance(self.labels, list) else []
        return [str(each.get("name", "")) for each in entries if isinstance(each, dict)]


class RestJitConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A just-in-time registration. Whoever holds the config is the runner."""

    runner: RestRunner
    encoded_jit_config: str

    def __repr__(self) -> str:
        return f"RestJitConfig(runner={self.runner!r})"


class Unusable(GitHubError):
    """A runner was registered, with a configuration that no runner could read.

    Attributes:
        number: The runner's, where at least that could be read.
    """

    def __init__(self, verdict: Verdict, number: int | None) -> None:
        super().__init__(verdict)
        self.number = number


class RestRunners:
    """The runners of one scope."""

    def __init__(self, rest: Rest, scope: Scope) -> None:
        self._rest = rest
        self._scope = scope
        self._path = f"{scope.path}/actions/runners"
        self._groups: dict[str, int] = {}

    async def every(
        self, wanted: Callable[[str], bool] = lambda _name: True
    ) -> tuple[list[RestRunner], bool]:
        """Every runner of the scope whose name is wanted; and whether none can be missing.

        A list of many pages that changes each time that it is read may lack some.
        """
        what = f"list runners of {self._scope}"
        try:
            entries, complete = await self._rest.read_list(self._path, what, "runners")
        except GitHubError as error:
            raise self._hinted(error) from None
        found = [entry for entry in entries if types.named(entry, wanted)]
        return [_convert(entry, RestRunner, what) for entry in found], complete

    async def by_name(self, name: str) -> RestRunner | None:
        """The runner of this name, or None. One that is new may not be shown yet."""
        what = f"look up runner {name}"
        entries = await self._rest.pages(
            self._path, what, "runners", query={"name": name}, purpose=Purpose.PROVISIONING
        )
        # The filter is GitHub's; that it was heeded is not taken on trust
        found = [entry for entry in entries if types.named(entry, name.__eq__)]
        return _convert(found[0], RestRunner, what) if found else None

    async def get(self, number: int, purpose: Purpose = Purpose.PROVISIONING) -> RestRunner | None:
        """A runner by its number; None: it does not exist."""
        what = f"look at runner {number}"
        try:
            response = await self._rest.call("GET", f"{self._path}/{number}", what, purpose=purpose)
        except GitHubError as error:
            if error.kind is Kind.GONE:
                return None
            raise
        return _convert(_plain(response, what), RestRunner, what)

    async def generate_jit_config(
        self, name: str, group: int, labels: Sequence[str], work_folder: str
    ) -> RestJitConfig:
        """Register a runner. EXISTS: the name is taken. Never repeat blindly.

        Raises:
            Unusable: It is registered, with a configuration that is of no use.
            GitHubError: RETRY where it is not known whether it is.
        """
        what = f"register runner {name}"
        body = {
            "name": name,
            "runner_group_id": group,
            "labels": list(labels),
            "work_folder": work_folder,
        }
        path = f"{self._path}/generate-jitconfig"
        try:
            response = await self._rest.call("POST", path, what, body=body)
        except GitHubError as error:
            raise self._unregistered(error) from None
        plain: Any = None
        try:
            plain = types.decode(response.body)
            made = types.convert(plain, RestJitConfig)
        except ValueError as error:
            # msgspec names the place and the type that it met, never the value
            raise Unusable(_unreadable(what, str(error), response), _number_in(plain)) from None
        if not made.runner.id or not usable_jit_config(made.encoded_jit_config):
            verdict = _unreadable(what, "no usable configuration in it", response)
            raise Unusable(verdict, made.runner.id or None)
        return made

    async def delete(self, number: int) -> bool:
        """Remove a runner. BUSY: it is running a job.

        Returns:
            Whether it was this call that removed it; otherwise it did not exist any more.
        """
        try:
            await self._rest.call("DELETE", f"{self._path}/{number}", f"remove runner {number}")
        except GitHubError as error:
            if error.kind is Kind.GONE:
                return False
            if error.verdict.status == 422:  # whatever it says
                raise GitHubError(replace(error.verdict, kind=Kind.BUSY)) from None
            raise
        return True

    async def labels(self, number: int) -> list[str]:
        """A runner's labels. GONE: it does not exist."""
        what = f"list labels of runner {number}"
        return _labels(await self._rest.call("GET", f"{self._path}/{number}/labels", what), what)

    async def add_labels(self, number: int, labels: Sequence[str]) -> list[str]:
        """Add labels, and answer all that it has then. When it fails, some may be there."""
        what = f"label runner {number}"
        response = await self._rest.call(
            "POST", f"{self._path}/{number}/labels", what, body={"labels": list(labels)}
        )
        return _labels(response, what)

    async def delete_label(self, number: int, label: str) -> list[str] | None:
        """Take a label away; the labels that are left, or None where it was not there."""
        what = f"take a label from runner {number}"
        path = f"{self._path}/{number}/labels/{urls.segment(label)}"
        try:
            response = await self._rest.call("DELETE", path, what)
            return _labels(response, what) if response.body.strip() else await self.labels(number)
        except GitHubError as error:
            if error.kind is Kind.GONE:
                return None
            raise

    async def group_id(self, name: str) -> int:
        """The id of a runner group; it is asked for once. Repositories have the default one only.

        Raises:
            GitHubError: CREDENTIAL where there is no such group: only a person can mend it.
        """
        key = name.lower()
        if key == "default":
            return DEFAULT_GROUP
        if self._scope.kind == "repository":
            text = f"{self._scope} has no runner groups: leave runner_group = {name!r} out"
            raise GitHubError(Verdict(Kind.CREDENTIAL, text))
        if key not in self._groups:
            # By REST, not by the Actions service: this id is for REST, and whoever may manage
            # runners may also list their groups
            path = f"{self._scope.path}/actions/runner-groups"
            try:
                entries = await self._rest.pages(
                    path, "list runner groups", "runner_groups", purpose=Purpose.PROVISIONING
                )
            except GitHubError as error:
                raise self._hinted(error) from None
            named = {str(each.get("name", "")).lower(): each.get("id") for each in entries}
            if not isinstance(number := named.get(key), int):
                text = f"{self._scope} has no runner group {name!r}: make it, or set runner_group"
                raise GitHubError(Verdict(Kind.CREDENTIAL, f"{text} to another"))
            self._groups[key] = number
        return self._groups[key]

    def _unregistered(self, error: GitHubError) -> GitHubError:
        """Why a runner was not registered."""
        if error.verdict.status == 409:
            return GitHubError(replace(error.verdict, kind=Kind.EXISTS))
        if error.kind in {Kind.CREDENTIAL, Kind.GONE}:
            self._groups.clear()  # a group may have been made anew, with another id
            hinted = self._hinted(error).verdict
            text = f"{hinted.text}; and may its runner group be used here?"
            return GitHubError(replace(hinted, text=text))
        return error

    def _hinted(self, error: GitHubError) -> GitHubError:
        """A refusal of the whole scope, with what a person should look at."""
        if error.kind not in {Kind.CREDENTIAL, Kind.GONE} or not error.verdict.status:
            return error
        hint = rights.missing_right(self._scope)
        if error.kind is Kind.GONE:  # also what GitHub says of what a token may not see
            hint = f"is the url right? {self._scope.url}; if so, {hint}"
        text = f"{error}: {hint}"
        return GitHubError(replace(error.verdict, kind=Kind.CREDENTIAL, text=text))


def _plain(response: Response, what: str) -> Any:
    try:
        return types.decode(response.body)
    except ValueError as error:
        raise GitHubError(_unreadable(what, str(error), response)) from None


def _convert(value: Any, kind: type[T], what: str) -> T:
    try:
        return types.convert(value, kind)
    except ValueError as error:
        text = f"GitHub's answer to {what} is not readable: {error}"
        raise GitHubError(Verdict(Kind.RETRY, text)) from None


def _labels(response: Response, what: str) -> list[str]:
    plain = _plain(response, what)
    entries = plain.get("labels") if isinstance(plain, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise GitHubError(_unreadable(what, "no list of labels in it", response))
    return [str(each.get("name", "")) for each in entries]


def _number_in(plain: Any) -> int | None:
    runner = plain.get("runner") if isinstance(plain, dict) else None
    number = runner.get("id") if isinstance(runner, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _unreadable(what: str, why: str, response: Response) -> Verdict:
    request = response.headers.get("x-github-request-id", "")
    told = f" (request {request[:80]})" if request else ""
    text = f"GitHub's answer to {what} is not readable: {why}{told}"
    return Verdict(Kind.RETRY, text, status=response.status)
