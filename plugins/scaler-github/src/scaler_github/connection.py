"""The plugin `github`: where GitHub is, and with which token; the others connect through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaler import Duration, Finding, Secret, hookimpl
from scaler_github.client import (
    Actions,
    Credentials,
    GitHubError,
    Kind,
    PersonalToken,
    Transport,
    parse_config_url,
)
from scaler_github.client.transport import check_authorities
from scaler_github.client.urls import check_proxy

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    import trio

    from scaler import Context


class GitHub:
    """One account: its address, its token, its connections."""

    @dataclass(frozen=True)
    class Config:
        """`[plugins.github]`.

        Attributes:
            url: An organization, a repository or an enterprise, as a browser shows it.
            token: A token that may register runners with it.
            proxy: An HTTP proxy; otherwise HTTPS_PROXY and NO_PROXY count.
            ca_file: More certificate authorities to trust, beside the system's.
            api_cache_timeout: How old an answer of the REST API may be where one will do. The
                message queue and its runners are always asked anew.
        """

        url: str
        token: Secret
        proxy: str = ""
        ca_file: Path | None = None
        api_cache_timeout: Duration = Duration(30)  # noqa: RUF009 - immutable

        def __post_init__(self) -> None:
            name = "url"
            try:
                parse_config_url(self.url)
                name = "proxy"
                if self.proxy:
                    check_proxy(self.proxy)
                name = "ca_file"
                if self.ca_file is not None:
                    check_authorities(str(self.ca_file))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def __init__(self, context: Context[Config, None]) -> None:
        self._context = context
        config = context.config
        self.scope = parse_config_url(config.url)
        self._transport = Transport(
            proxy=config.proxy or None,
            ca_file=str(config.ca_file) if config.ca_file else None,
            authorities=self.scope.url.startswith("https:"),
        )
        self._credentials = Credentials(
            self.scope, self._transport, PersonalToken(config.token.reveal)
        )
        self._actions = Actions(self._credentials)

    def actions(self) -> AbstractAsyncContextManager[Actions]:
        """The Actions service, for as long as the block lasts. Cheap to enter again and again."""
        return _Open(self._transport, self._actions)

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Keep the connections open between the calls of all plugins."""
        async with self._transport:
            task_status.started()
            await self._context.stopping.wait()

    @hookimpl
    async def check(self) -> list[Finding]:
        """Whether the token is good, and may do what registering runners takes."""
        try:
            async with self._transport:
                await self._credentials.registration_token()
                await self._credentials.admin()
        except GitHubError as error:
            return self._findings(error)
        except OSError as error:  # a file of certificates that is not there, or none
            return [Finding(ok=False, text=f"no TLS: {error}", fix="look at ca_file")]
        return [
            Finding(ok=True, text="the token is accepted"),
            Finding(ok=True, text=f"the token may register runners with {self.scope}"),
        ]

    def _findings(self, error: GitHubError) -> list[Finding]:
        if error.kind is Kind.CREDENTIAL and error.verdict.status in (403, 404):
            fix = "Give the token that right, or make another that has it."
            if error.verdict.status == 404:
                fix = f"Look whether {self.scope.url} is right, then at the token's rights."
            return [
                Finding(ok=True, text="the token is accepted"),
                Finding(ok=False, text=str(error), fix=fix),
            ]
        if error.kind is Kind.CREDENTIAL:
            return [Finding(ok=False, text=str(error), fix="Make a new token.")]
        if error.kind is Kind.WAIT:
            fix = f"Wait {error.wait:.0f} s; is the token shared with other programs?"
            return [Finding(ok=False, text=str(error), fix=fix)]
        fix = f"Is {self.scope.url} right, and can this machine reach {self.scope.api}?"
        return [Finding(ok=False, text=str(error), fix=fix)]


class _Open:
    """The open transport, for as long as a block lasts."""

    __slots__ = ("_actions", "_transport")

    def __init__(self, transport: Transport, actions: Actions) -> None:
        self._transport = transport
        self._actions = actions

    async def __aenter__(self) -> Actions:
        await self._transport.__aenter__()
        return self._actions

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)
