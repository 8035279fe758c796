"""One connection: a scope, its credential, and the APIs that it is reached by."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from scaler import SettingsError
from scaler_github.client import (
    Actions,
    AppToken,
    Credentials,
    Exchange,
    Limits,
    PersonalToken,
    Rest,
    ServerClock,
    Transport,
    parse_config_url,
)
from scaler_github.client.tokens import Reread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from scaler import SecretSource
    from scaler_github.account.settings import Connection

_READERS = 2  # files of tokens that are read at once


class Account:
    """One connection. The APIs may be called while it is open.

    Attributes:
        name: As `connection = "NAME"` names it; empty for the first one.
        settings: What the settings say of it.
        scope: The organization, repository or enterprise.
        token: Its credential.
        limits: What the credential may still ask for; shared with whoever has the same.
        rest: The REST API.
        credentials: The way from there to the Actions service.
        actions: The Actions service.
    """

    def __init__(
        self, name: str, settings: Connection, limits: Limits, limiter: trio.CapacityLimiter
    ) -> None:
        self.name = name
        self.settings = settings
        self.scope = parse_config_url(settings.url)
        self.limits = limits
        self.transport = Transport(
            proxy=settings.proxy or None,
            ca_file=str(settings.ca_file) if settings.ca_file else None,
            authorities=self.scope.url.startswith("https:"),
        )
        exchange = Exchange(self.transport, limits, ServerClock())
        self.token = _token(settings, self.scope.api, exchange, limiter)
        self.rest = Rest(self.scope.api, exchange, self.token)
        self.credentials = Credentials(self.scope, self.rest)
        self.actions = Actions(self.credentials)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Account]:
        """Keep its connections open for as long as the block lasts; blocks may overlap."""
        async with self.transport:
            yield self

    def __str__(self) -> str:
        return f"connection {self.name}" if self.name else "github"


class Accounts:
    """Every connection of the settings, by name; the first one's name is empty."""

    def __init__(self, first: Connection, more: Mapping[str, Connection]) -> None:
        limiter = trio.CapacityLimiter(_READERS)
        limits: dict[object, Limits] = {}
        self._accounts: dict[str, Account] = {}
        for name, settings in {"": first, **more}.items():
            key = (parse_config_url(settings.url).api, _identity(settings))
            shared = limits.setdefault(key, Limits())
            self._accounts[name] = Account(name, settings, shared, limiter)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def __contains__(self, name: str) -> bool:
        return name in self._accounts

    def __getitem__(self, name: str) -> Account:
        """The account of this name. Raises LookupError, which names those that there are."""
        try:
            return self._accounts[name]
        except KeyError:
            raise LookupError(self.unknown(name)) from None

    def unknown(self, name: str) -> str:
        """What to say of a name that is none."""
        known = ", ".join(f'"{each}"' for each in self._accounts if each) or "none"
        return (
            f'found "{name}", wanted a connection of [plugins.github.connections] ({known}), '
            "or leave it out"
        )

    def check(self, names: Mapping[str, str]) -> None:
        """See that there are accounts of these names, given by the place that names them.

        Raises:
            SettingsError: Some are unknown; all of them are told.
        """
        wrong = [f"{at}: {self.unknown(name)}" for at, name in names.items() if name not in self]
        if wrong:
            raise SettingsError(wrong)


def _identity(settings: Connection) -> object:
    """What tells one credential from another: limits are kept by credential."""
    if settings.app is not None:
        return settings.app.client_id, settings.app.installation_id
    return settings.token


def _token(
    settings: Connection, api: str, exchange: Exchange, limiter: trio.CapacityLimiter
) -> PersonalToken | AppToken:
    if settings.app is not None:
        app = settings.app
        # What the App itself asks for is counted apart from what its installation does
        own = Exchange(exchange.transport, Limits(), exchange.clock)
        key = app.private_key.reveal()
        return AppToken(app.client_id, app.installation_id, key, api, own)
    assert settings.token is not None, "the settings were checked"
    source = settings.token
    return PersonalToken(
        Reread(lambda: source.read().reveal(), lambda: _stamp(source), limiter=limiter)
    )


def _stamp(source: SecretSource) -> object:
    """What changes when a file does; None for what does not change while the process lives."""
    if source.file is None:
        return None
    try:
        status = os.stat(source.file)
    except OSError as error:  # a state like any other: reading it says, in words, what is wrong
        return str(error)
    return status.st_mtime_ns, status.st_size, status.st_ino
