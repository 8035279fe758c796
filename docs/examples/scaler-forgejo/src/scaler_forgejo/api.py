"""The few requests to Forgejo. All input and output of this plugin is in this file.

Every one of them ends within `LONGEST` seconds, with an answer of the type that it promises or with
`Trouble`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import trio

from scaler import Unavailable
from scaler_forgejo.answers import Listed, Made, Run, Version
from scaler_forgejo.paging import complete

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from scaler import Secret

LONGEST = 20.0  #: seconds for a request, from its beginning to the last byte of its answer
PAGE = 50  #: the largest page that Forgejo gives, unless its administrator says otherwise


class Trouble(Unavailable):
    """A request failed. It says what a person needs, and never what was sent.

    Args:
        status: What was answered; 0 where no answer came.
    """

    def __init__(self, text: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(text, retry_after)
        self.status = status


class Api:
    """A connection to one Forgejo, open while it is entered."""

    def __init__(self, url: str, token: Secret, scope: str) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._runners = f"/{scope}/actions/runners"
        self._token = token
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Open it: the constructor of a plugin does no input or output, and this reads files."""
        self._client = httpx.AsyncClient(
            base_url=self._base,
            headers={"Authorization": f"token {self._token.reveal()}"},
            timeout=httpx.Timeout(LONGEST / 2),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def version(self) -> Version:
        """Which Forgejo it is."""
        found: Version = self._read(await self._ask("GET", "/version"), Version)
        return found

    async def jobs(self, labels: tuple[str, ...]) -> list[Run]:
        """The jobs that wait or run and ask for none but these labels, in one answer.

        There are no pages here (Forgejo's `routers/api/v1/shared/runners.go`), and where there is
        no job, the answer is null.
        """
        query = {"labels": ",".join(labels)}
        answer = await self._ask("GET", f"{self._runners}/jobs", query=query)
        found: list[Run] | None = self._read(answer, list[Run] | None)
        return found or []

    async def runners(self) -> list[Listed]:
        """Every runner of the scope.

        Raises:
            Trouble: It is not known which there are.
        """
        listed = await complete(self._page, self.runner)
        if listed is None:
            raise Trouble("the list of runners changed each time that it was read")
        return listed

    async def runner(self, number: int) -> Listed | None:
        """A runner by its id, if it is there."""
        try:
            answer = await self._ask("GET", f"{self._runners}/{number}")
        except Trouble as error:
            if error.status != 404:  # that is the answer: there is none
                raise
            return None
        found: Listed = self._read(answer, Listed)
        return found

    async def _page(self, number: int) -> tuple[list[Listed], int]:
        query = {"page": str(number), "limit": str(PAGE)}
        answer = await self._ask("GET", self._runners, query=query)
        listed: list[Listed] | None = self._read(answer, list[Listed] | None)
        return listed or [], _total(answer)

    async def register(self, name: str, description: str) -> Made:
        """Register a runner that is removed by Forgejo after its first job."""
        body = {"name": name, "description": description, "ephemeral": True}
        made: Made = self._read(await self._ask("POST", self._runners, body=body), Made)
        return made

    async def remove(self, number: int) -> None:
        """Remove a runner. That it is not there is no error."""
        try:
            await self._ask("DELETE", f"{self._runners}/{number}")
        except Trouble as error:
            if error.status != 404:  # it is gone, by somebody else or by an answer that was lost
                raise

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
    ) -> httpx.Response:
        if self._client is None:
            raise Trouble("the connection to Forgejo is not open")
        where = f"{self._base}{path}"
        try:
            # httpx bounds each step; a server that sends a byte now and then has no end
            with trio.fail_after(LONGEST):
                answer = await self._client.request(
                    method, path, params=query, json=body if body is not None else None
                )
        except trio.TooSlowError:
            raise Trouble(f"{method} {where}: no answer within {LONGEST:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Trouble(f"{method} {where}: {error!s} ({type(error).__name__})") from None
        if not answer.is_success:
            raise _trouble(method, where, answer)
        return answer

    def _read(self, answer: httpx.Response, wanted: Any) -> Any:
        try:
            return msgspec.json.decode(answer.content, type=wanted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            path = answer.request.url.path
            raise Trouble(f"{path} answered what is not understood: {error}") from None


def _total(answer: httpx.Response) -> int:
    """How many there are in all; Forgejo tells it beside each page."""
    text = answer.headers.get("X-Total-Count", "")
    if not text.isdecimal():
        raise Trouble("a list of runners came without X-Total-Count: is it complete?")
    return int(text)


def _trouble(method: str, where: str, answer: httpx.Response) -> Trouble:
    """What a refusal means, and when to come again where it says so in seconds."""
    after = answer.headers.get("Retry-After", "")
    retry = float(after) if after.isdecimal() else None
    text = f"{method} {where}: {answer.status_code} {answer.reason_phrase}"
    if answer.is_redirect:  # it is not followed: the token is for the url of the settings alone
        text += f", moved to {answer.headers.get('Location', 'nowhere')}"
    return Trouble(text, answer.status_code, retry)
