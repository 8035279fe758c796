"""What all services of the simulator share: the world, the tokens and the addresses."""

from __future__ import annotations

import secrets
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.testing import errors, tokens
from scaler_github.testing.artifacts import Store
from scaler_github.testing.rates import Budgets

if TYPE_CHECKING:
    from scaler_github.testing.http import Request
    from scaler_github.testing.state import World
    from scaler_github.testing.tokens import Token, TokenStore


@dataclass(slots=True)
class App:
    """A GitHub App and one of its installations.

    Attributes:
        account: the owner that it is installed for; empty: for everybody.
        public_key: PEM; the signature of its JWTs is checked with it, if it is given.
    """

    client_id: str
    installation_id: int
    rights: frozenset[str]
    account: str = ""
    public_key: str | None = None
    suspended: bool = False

    @property
    def app_id(self) -> int:
        """The number of the App, which may be the issuer of its JWTs as well."""
        return 100_000 + zlib.crc32(self.client_id.encode()) % 900_000


@dataclass(slots=True)
class Site:
    """One simulated GitHub: what its services have in common."""

    world: World
    tokens: TokenStore
    #: `http://127.0.0.1:PORT`, known once the server listens.
    origin: str = ""
    #: The same on another port, where archives are.
    blob_origin: str = ""
    #: Random, so that no client can know the addresses of the Actions service beforehand.
    tenant: str = field(default_factory=lambda: f"tenant-{secrets.token_hex(5)}")
    apps: list[App] = field(default_factory=list)
    #: Organisations, in lower case, that let in only tokens authorised by single sign-on.
    sso: set[str] = field(default_factory=set)
    artifacts: Store = field(default_factory=Store)
    budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        self.budgets = Budgets(self.world.now, self.world.options)

    @property
    def rest_url(self) -> str:
        """Base of the REST API, without a slash at its end."""
        return f"{self.origin}/api/v3"

    @property
    def service_path(self) -> str:
        """Base path of the Actions service, with a slash at its end."""
        return f"/{self.tenant}/rest/"

    @property
    def service_url(self) -> str:
        """What runner-registration gives as the Actions service's base."""
        return f"{self.origin}{self.service_path}"

    @property
    def queue_path(self) -> str:
        """Path of the message queue."""
        return f"/{self.tenant}/scalesets/message"

    @property
    def blob_path(self) -> str:
        """Path of archives, with a slash at its end."""
        return f"/{self.tenant}/blobs/"

    def queue_url(self, token: Token) -> str:
        """What a session gives as its queue; it already carries a query."""
        return f"{self.origin}{self.queue_path}?sessionToken={token.ticket}&region=sim"

    def authorized(self, request: Request, scheme: str, *kinds: str) -> Token | None:
        """The token of the Authorization header, if it is good for this."""
        given, _, text = request.headers.get("authorization", "").partition(" ")
        if given != scheme or not text:
            return None
        return self.tokens.find(text.strip(), kinds)

    def caller(self, request: Request) -> Token | None:
        """Who asks the REST API: a person, an installation, or a runner to be registered."""
        return self.authorized(
            request, "Bearer", tokens.PERSON, tokens.INSTALLATION
        ) or self.authorized(request, "RemoteAuth", tokens.REGISTRATION)


def service_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request to the Actions service carries, or a 400."""
    value = service_json(request)
    if not isinstance(value, dict):
        raise errors.bad_request("The request body must be a JSON object.")
    return value


def service_json(request: Request) -> Any:
    """The JSON that a request to the Actions service carries, or a 400."""
    try:
        return request.json()
    except msgspec.DecodeError as exc:
        raise errors.bad_request(f"The request body is not JSON: {exc}") from None


def parse_id(text: str) -> int:
    """An id out of a path or a query; 400 when it is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise errors.bad_request(f"The value '{text}' is not a valid identifier.")
    return int(text)
