"""What the settings say of one connection to GitHub."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scaler import Duration, Secret, SecretSource
from scaler_github.client import parse_config_url
from scaler_github.client.authorities import check_authorities
from scaler_github.client.tokens import check_key
from scaler_github.client.urls import check_proxy

_NEEDED = "wanted token, or app = { client_id, installation_id, private_key }"


@dataclass(frozen=True)
class App:
    """A GitHub App and its installation.

    Attributes:
        client_id: Its client ID (`Iv23…`), or its number, as a string.
        installation_id: The number at the end of the address of its installation.
        private_key: The PEM file that GitHub gave for it.
    """

    client_id: str
    installation_id: int
    private_key: Secret

    def __post_init__(self) -> None:
        if not self.client_id.strip() or not self.client_id.isascii():
            raise ValueError("client_id: found no client ID, wanted one such as Iv23liAbCdEf")
        if self.installation_id < 1:
            raise ValueError(f"installation_id: found {self.installation_id}, wanted its number")
        try:
            check_key(self.private_key.reveal())
        except ValueError as error:
            raise ValueError(f"private_key: {error}") from None


@dataclass(frozen=True)
class Connection:
    """`[plugins.github.connections.NAME]`.

    Attributes:
        url: An organization, a repository or an enterprise, as a browser shows it.
        token: A token that may register runners with it; its file is read again when it changes.
        app: A GitHub App in place of a token.
        proxy: An HTTP proxy; otherwise HTTPS_PROXY and NO_PROXY count.
        ca_file: More certificate authorities to trust, beside the system's.
        api_cache_timeout: How old the list of runners that were registered by REST may be.
    """

    url: str
    token: SecretSource | None = None
    app: App | None = None
    proxy: str = ""
    ca_file: Path | None = None
    api_cache_timeout: Duration = Duration(30)  # noqa: RUF009 - immutable
    authorities: str = field(init=False, repr=False, default="")  # what was in ca_file

    def __post_init__(self) -> None:
        name = "url"
        try:
            parse_config_url(self.url)
            name = "proxy"
            if self.proxy:
                check_proxy(self.proxy)
            name = "ca_file"
            if self.ca_file is not None:
                found = check_authorities(str(self.ca_file))
                object.__setattr__(self, "authorities", found)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if self.token is None and self.app is None:
            raise ValueError(f"token: found neither token nor app, {_NEEDED}")
        if self.token is not None and self.app is not None:
            raise ValueError(f"app: found both token and app, {_NEEDED}")
