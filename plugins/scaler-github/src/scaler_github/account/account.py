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
        replaced: Set, and replaced by another, when its credential is another one.
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
        self._limiter = limiter
        exchange = Exchange(self.transport, limits, ServerClock())
        self.token = _token(settings, self.scope.api, exchange, limiter)
        self.rest = Rest(self.scope.api, exchange, self.token)
        self.credentials = Credentials(self.scope, self.rest)
        self.actions = Actions(self.credentials)
        self.replaced = trio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Account]:
        """Keep its connections open for as long as the block lasts; blocks may overlap."""
        async with self.transport:
            yield self

    def take(self, settings: Connection, limits: Limits) -> bool:
        """Go by these settings from the next call on. `fixed` of them is the same as before.

        Args:
            settings: They.
            limits: What their credential may still ask for.

        Returns:
            Whether the credential is another one.
        """
        before, self.settings = self.settings, settings
        if credential(settings) == credential(before):
            return False
        if isinstance(self.token, AppToken):
            assert settings.app is not None, "how it signs in is fixed"
            self.token.sign_by(settings.app.private_key.reveal())
        else:
            assert settings.token is not None, "how it signs in is fixed"
            self.token.read_from(_reread(settings.token, self._limiter))
        self.limits = self.rest.exchange.limits = limits
        self.forget()
        return True

    def forget(self) -> None:
        """Its credential is another one: use nothing that the last one brought."""
        self.credentials.forget()
        self.replaced.set()
        self.replaced = trio.Event()

    def __str__(self) -> str:
        return f"connection {self.name}" if self.name else "github"


class Accounts:
    """Every connection of the settings, by name; the first one's name is empty.

    One that the settings have no more stays until a restart: runners may be left there.
    """

    def __init__(self, first: Connection, more: Mapping[str, Connection]) -> None:
        self._limiter = trio.CapacityLimiter(_READERS)
        self._limits: dict[object, Limits] = {}
        self._accounts: dict[str, Account] = {}
        for name, settings in {"": first, **more}.items():
            self._add(name, settings)

    def take(
        self, first: Connection, more: Mapping[str, Connection]
    ) -> tuple[list[str], list[str]]:
        """Go by these settings from now on, as far as that can be done while they are in use.

        Returns:
            What counts only after a restart, as `key path: why` from within `[plugins.github]`;
            and the names of those whose credential is another one.
        """
        restart, renewed = list[str](), list[str]()
        wanted = {"": first, **more}
        for name, account in self._accounts.items():
            table = f"connections.{name}" if name else ""
            if name not in wanted:
                why = "it is gone, and is used for what is left there until a restart"
                restart.append(f"{table}: {why}")
            elif other := differing(account.settings, wanted[name]):
                why = "the connection stays as it was until a restart, and its credential with it"
                restart += [f"{table}.{key}: {why}".removeprefix(".") for key in other]
            elif account.take(wanted[name], self._shared(wanted[name])):
                renewed.append(name)
        for name, settings in wanted.items():
            if name not in self._accounts:
                self._add(name, settings)
        return restart, renewed

    def _add(self, name: str, settings: Connection) -> None:
        shared = self._shared(settings)
        self._accounts[name] = Account(name, settings, shared, self._limiter)

    def _shared(self, settings: Connection) -> Limits:
        key = (parse_config_url(settings.url).api, _identity(settings))
        return self._limits.setdefault(key, Limits())

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._accounts.values()))

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


def differing(old: Connection, new: Connection) -> list[str]:
    """What of a connection's settings differs that cannot change while it is in use."""
    before, after = _fixed(old), _fixed(new)
    return [key for key in before if before[key] != after[key]]


def _fixed(settings: Connection) -> dict[str, object]:
    app = settings.app
    return {
        "url": settings.url,
        "proxy": settings.proxy,
        "ca_file": (settings.ca_file, settings.authorities),
        "app": app is not None and (app.client_id, app.installation_id),
    }


def credential(settings: Connection) -> object:
    """What it signs in by."""
    return settings.token if settings.app is None else settings.app.private_key


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
    return PersonalToken(_reread(settings.token, limiter))


def _reread(source: SecretSource, limiter: trio.CapacityLimiter) -> Reread:
    return Reread(lambda: source.read().reveal(), lambda: _stamp(source), limiter=limiter)


def _stamp(source: SecretSource) -> object:
    """What changes when a file does; None for what does not change while the process lives."""
    if source.file is None:
        return None
    try:
        status = os.stat(source.file)
    except OSError as error:  # a state like any other: reading it says, in words, what is wrong
        return str(error)
    return status.st_mtime_ns, status.st_size, status.st_ino
