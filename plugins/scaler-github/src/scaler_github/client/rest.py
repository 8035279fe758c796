"""GitHub's REST API with one credential: every call goes through here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from scaler_github.client import types, urls
from scaler_github.client.classify import GitHubError, Kind, Verdict
from scaler_github.client.limits import CORE, Purpose
from scaler_github.client.tokens import token_expiry
from scaler_github.client.transport import CALL_DEADLINE, Request, authorization

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.client.exchange import Exchange
    from scaler_github.client.tokens import RestToken
    from scaler_github.client.transport import Response

_EMPTY = "application/vnd.github.v3+json"  # of a call without a body, as GitHub's own client does
_REFUSED = 60.0  # seconds for which a refused token is not tried again
_PAGE = 100  # GitHub's largest
_MOST_PAGES = 1000


class Rest:
    """The REST API of one host, as one credential sees it. Safe to use from many tasks.

    Args:
        api: Its base, without a slash at the end.

    Attributes:
        expires: When the token ends, in Unix seconds, as GitHub last told; None where it does not.
    """

    def __init__(self, api: str, exchange: Exchange, token: RestToken) -> None:
        self.api = api
        self.exchange = exchange
        self.token = token
        self.expires: float | None = None
        self._refused: tuple[str, float, Verdict] | None = None

    async def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        purpose: Purpose = Purpose.PROVISIONING,
        resource: str = CORE,
        secret: bool = False,
    ) -> Response:
        """One call; after a refused token one more, with another token if there is one.

        Args:
            path: Under the API's base, its parts quoted (`urls.segment`).
            what: Names the call in errors, such as "list runners".
            secret: The answer is about tokens: nothing of its body is ever shown.

        Raises:
            GitHubError: It did not succeed.
        """
        response, error = await self.attempt(
            method,
            path,
            what,
            query=query,
            body=body,
            purpose=purpose,
            resource=resource,
            secret=secret,
        )
        if error is not None:
            raise error
        assert response is not None, "what did not fail was answered"
        return response

    async def attempt(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        purpose: Purpose = Purpose.PROVISIONING,
        resource: str = CORE,
        secret: bool = False,
        deadline: float = CALL_DEADLINE,
    ) -> tuple[Response | None, GitHubError | None]:
        """As `call`, for whoever wants to see the answer of a call that failed, too.

        Returns:
            The answer, where one came, and the failure, where it is one.
        """

        def request(token: str) -> Request:
            return Request(
                method,
                urls.join(self.api, path, query),
                {
                    **bearer(token),
                    "Accept": "application/vnd.github+json",
                    "Content-Type": "application/json" if body is not None else _EMPTY,
                    "X-GitHub-Api-Version": urls.REST_VERSION,
                },
                b"" if body is None else msgspec.json.encode(body),
            )

        async def send(token: str) -> Response:
            return await self.exchange.send(
                request(token), what, purpose=purpose, resource=resource, deadline=deadline
            )

        response: Response | None = None
        token = ""
        try:
            token = await self.token()
            self._not_refused(token)
            response = await send(token)
            if response.status == 401:
                another = await self.token(refused=token)
                if another != token:
                    token, response = another, None
                    response = await send(token)
            self.exchange.checked(response, what, secret=secret)
        except GitHubError as error:
            if response is not None and error.kind is Kind.REFRESH:
                self._refused = token, trio.current_time() + _REFUSED, error.verdict
            return response, error
        self._refused = None
        # Only now it is known whose answer it was
        told = response.headers.get("github-authentication-token-expiration", "")
        self.expires = token_expiry(told) if told else None
        return response, None

    def _not_refused(self, token: str) -> None:
        """GitHub bars who comes with a bad token again and again: one is tried once a minute."""
        if self._refused is not None:
            refused, until, verdict = self._refused
            left = until - trio.current_time()
            if token == refused and left > 0:
                raise GitHubError(replace(verdict, wait=left))

    async def pages(
        self,
        path: str,
        what: str,
        key: str,
        *,
        query: Mapping[str, str | int] | None = None,
        purpose: Purpose = Purpose.ROUTINE,
    ) -> list[dict[str, Any]]:
        """Every entry of a list: all of them, or an error.

        Args:
            key: The list's name in the answer.

        Raises:
            GitHubError: It is not complete.
        """
        entries, complete = await self.read_list(path, what, key, query=query, purpose=purpose)
        if not complete:
            raise _incomplete(what, "it changed each time that it was read")
        return entries

    async def read_list(
        self,
        path: str,
        what: str,
        key: str,
        *,
        query: Mapping[str, str | int] | None = None,
        purpose: Purpose = Purpose.ROUTINE,
    ) -> tuple[list[dict[str, Any]], bool]:
        """The entries of a list, and whether none can be missing.

        Pages are no snapshot: when entries come or go between them, others shift unseen to a page
        that was read already. Then it is read once more; where it changes again, what was found
        either time is answered.

        Raises:
            GitHubError: A page could not be read, or entries that were announced did not come.
        """
        found: dict[object, dict[str, Any]] = {}
        for _ in range(2):
            entries, steady = await self._read_pages(path, what, key, query or {}, purpose)
            if steady:
                return list(entries.values()), True
            found |= entries
        return list(found.values()), False

    async def _read_pages(
        self,
        path: str,
        what: str,
        key: str,
        query: Mapping[str, str | int],
        purpose: Purpose,
    ) -> tuple[dict[object, dict[str, Any]], bool]:
        """Every page once: the entries by id, and whether the list stood still meanwhile."""
        found: dict[object, dict[str, Any]] = {}
        totals: set[int] = set()
        for page in range(1, _MOST_PAGES):
            asked = {**query, "per_page": _PAGE, "page": page}
            response = await self.call("GET", path, what, query=asked, purpose=purpose)
            entries, total = _page(response, key, what)
            totals.add(total)
            before = len(found)
            found.update((_key(entry), entry) for entry in entries)
            # The address that `Link` tells is not followed: it may name another host. Some proxies
            # take it away, so the count decides, too.
            more = 'rel="next"' in response.headers.get("link", "") or len(found) < total
            if not more or len(found) == before:
                if len(totals) == 1 and len(found) < total:
                    raise _incomplete(what, f"{total} announced, {len(found)} came")
                return found, totals == {len(found)}
        raise _incomplete(what, f"more than {_MOST_PAGES} pages")


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    """The header that carries a token; GitHubError (CREDENTIAL) where it cannot."""
    try:
        return authorization(scheme, token)
    except ValueError as error:
        raise GitHubError(Verdict(Kind.CREDENTIAL, str(error))) from None


def _page(response: Response, key: str, what: str) -> tuple[list[dict[str, Any]], int]:
    try:
        plain = types.decode(response.body)
    except ValueError:
        plain = None
    entries = plain.get(key) if isinstance(plain, dict) else None
    total = plain.get("total_count") if isinstance(plain, dict) else None
    if not isinstance(entries, list) or not isinstance(total, int):
        raise _incomplete(what, f"no list of {key} in it")
    if not all(isinstance(each, dict) for each in entries):
        raise _incomplete(what, f"its {key} are not what they should be")
    return entries, total


def _key(entry: dict[str, Any]) -> str:
    """What tells an entry from the others, odd as it may be."""
    return str(entry.get("id", entry))


def _incomplete(what: str, why: str) -> GitHubError:
    return GitHubError(Verdict(Kind.RETRY, f"GitHub's answer to {what} is not complete: {why}"))
