"""Addresses: which scope the settings' URL names, where its REST API is, how calls are joined on.

Three bases are in play and two of them are opaque: GitHub tells the address of the Actions service
and of the message queue, and both may carry a path and a query that must be kept.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, quote, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "6.0-preview"
REST_VERSION = "2022-11-28"
FORCE_GHES = "GITHUB_ACTIONS_FORCE_GHES"
_HOSTED = {
    "github.com": "api.github.com",
    "www.github.com": "api.github.com",
    "github.localhost": "api.github.localhost",
}
_PART = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_WANTED = "https://HOST/ORG, https://HOST/OWNER/REPO or https://HOST/enterprises/NAME"

ScopeKind = Literal["organization", "repository", "enterprise"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What runners are registered with.

    Attributes:
        url: The settings' URL, tidied; this is what runner-registration is told.
        api: Base of the REST API, without a slash at the end.
        path: The scope's place under it, such as `orgs/acme`.
        name: For people, such as `acme` or `acme/web`.
    """

    kind: ScopeKind
    url: str
    api: str
    path: str
    name: str

    @property
    def web(self) -> str:
        """Where people browse: `https://HOST`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def place(self) -> str:
        """What tells it from every other scope: `HOST/PATH`, lower-case, as GitHub compares."""
        return f"{urlsplit(self.url).netloc}/{self.path}".lower()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def parse_config_url(text: str, environ: Mapping[str, str] | None = None) -> Scope:
    """Read the settings' URL.

    Raises:
        ValueError: It is not the address of an organization, a repository or an enterprise; the
            text says what was wanted.
    """
    environ = os.environ if environ is None else environ
    try:
        return _parse(text.strip(), environ)
    except ValueError as error:
        raise ValueError(f"found {_shown(text)}: {error}") from None


def _parse(text: str, environ: Mapping[str, str]) -> Scope:
    parts = _split(text)
    host = _host(parts)
    path = [part for part in parts.path.split("/") if part]
    for part in path:
        if not _PART.fullmatch(part) or part in {".", ".."}:
            raise ValueError(f"{part!r} is not a name that GitHub gives; wanted {_WANTED}")
    kind, scope_path, name = _scope(path)
    netloc = host if parts.port in (None, _default_port(parts)) else f"{host}:{parts.port}"
    url = f"{parts.scheme}://{netloc}/{'/'.join(path)}"
    return Scope(kind, url, _api(parts.scheme, host, netloc, environ), scope_path, name)


def check_proxy(text: str) -> None:
    """Whether a proxy's address is one.

    Raises:
        ValueError: It is not; the text shows what was found, but no password.
    """
    wanted, shown = "wanted http://HOST:PORT", _shown(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"found {shown}, which is not a URL; {wanted}") from None
    if any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError(f"found {shown}, which holds a space or an odd character; {wanted}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(f"found {shown}, which is not the address of an HTTP proxy; {wanted}")
    if parts.path.strip("/") or "?" in text or "#" in text:
        raise ValueError(f"found {shown}, with more than host and port; {wanted}")


def _shown(text: str) -> str:
    """An address as it may be shown: without user, password and query."""
    return repr(re.split(r"[?#]", text.rpartition("@")[2])[0][:200])


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        why = "" if "@" in text else f" ({error})"  # it may quote a piece of a password
        raise ValueError(f"not a URL{why}; wanted {_WANTED}") from None
    if port == 0 or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError(f"not a URL; wanted {_WANTED}")
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError(f"not a web address; wanted {_WANTED}")
    if "@" in parts.netloc:
        raise ValueError("the URL carries a user name or password; put the token into `token`")
    if "?" in text or "#" in text:
        raise ValueError(f"the URL carries a query or a fragment; wanted {_WANTED}")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http would send the token in the clear; write https")
    return parts


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    return f"[{host}]" if ":" in host else host


def _default_port(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


def _scope(path: list[str]) -> tuple[ScopeKind, str, str]:
    match path:
        case [org] if org.lower() not in {"enterprises", "orgs"}:
            return "organization", f"orgs/{org}", org
        case [first, name] if first.lower() == "enterprises":
            return "enterprise", f"enterprises/{name}", name
        case [first, name] if first.lower() == "orgs":
            raise ValueError(f"an organization is written without orgs/: https://HOST/{name}")
        case [owner, repo]:
            if repo.lower().endswith(".git"):
                raise ValueError(
                    f"{repo!r} is where git clones from; write {owner}/{repo[:-4]}, without .git"
                )
            return "repository", f"repos/{owner}/{repo}", f"{owner}/{repo}"
    raise ValueError(f"wanted {_WANTED}")


def _api(scheme: str, host: str, netloc: str, environ: Mapping[str, str]) -> str:
    if FORCE_GHES not in environ:
        port = netloc.removeprefix(host)
        if host in _HOSTED:
            return f"{scheme}://{_HOSTED[host]}{port}"
        if host.endswith(".ghe.com"):
            return f"{scheme}://api.{host.removeprefix('api.')}{port}"
    return f"{scheme}://{netloc}/api/v3"


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine: `localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_base(text: object) -> str:
    """An address that GitHub told us, if a token may be sent there.

    Raises:
        ValueError: It is empty, not a web address, or plain http to another machine.
    """
    parts = urlsplit(text) if isinstance(text, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the answer holds no usable address")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("the answer holds an http address, where a token must not be sent")
    return urlunsplit(parts._replace(fragment=""))


def host_of(url: str) -> str:
    """Host and port of a URL, lower-case."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def segment(text: str | int) -> str:
    """One part of a path, quoted."""
    return quote(str(text), safe="")


def join(base: str, path: str, query: Mapping[str, str | int] | None = None) -> str:
    """`base` with a path (already quoted) appended to its own, its query kept, `query` set."""
    front, own, kept = _parts(base)
    joined = f"{own.rstrip('/')}/{path.lstrip('/')}" if path else own
    # What is there stays byte for byte (it may be signed); only keys that are set anew are replaced
    pairs = [pair for pair in kept if not query or pair.partition("=")[0] not in query]
    if query:
        pairs.append(urlencode(query))
    return f"{front}{joined}?{'&'.join(pairs)}" if pairs else f"{front}{joined}"


def service_url(base: str, path: str, query: Mapping[str, str | int] | None = None) -> str:
    """A call of the Actions service: as `join`, with the api-version unless one is there."""
    present = {pair.partition("=")[0].lower() for pair in _parts(base)[2]}
    version = {} if "api-version" in present else {"api-version": API_VERSION}
    return join(base, path, {**(query or {}), **version})


@lru_cache(maxsize=64)  # a base is used for every call until the token that came with it ends
def _parts(base: str) -> tuple[str, str, tuple[str, ...]]:
    """A base's scheme and host, its path, and the pairs of its query."""
    parts = urlsplit(base)
    front = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    return front, parts.path, tuple(pair for pair in parts.query.split("&") if pair)
