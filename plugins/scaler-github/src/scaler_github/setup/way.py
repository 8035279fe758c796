"""The way to GitHub: names, proxies, TLS, and whether it is GitHub that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scaler_github.setup import trouble
from scaler_github.setup.findings import useful, well, wrong
from scaler_github.setup.trouble import Kind

if TYPE_CHECKING:
    from scaler import Finding
    from scaler_github.setup.asking import Answer
    from scaler_github.setup.where import Where

_SKEW = 60.0  # seconds


def unreachable(where: Where, why: str) -> Finding:
    """No answer came.

    Args:
        why: What the transport says of it.
    """
    kind, words = trouble.read(why)
    host, setting = where.api, f'{where.setting}.url = "{where.scope.url}"'
    match kind:
        case Kind.PROXY_ASKS_WHO | Kind.PROXY_FORBIDS:
            return _proxy_refuses(where, kind, words)
        case Kind.NO_PROXY:
            return _no_proxy(where, words)
        case Kind.UNKNOWN_AUTHORITY | Kind.ANOTHER_NAME | Kind.OUT_OF_DATE | Kind.NO_TLS:
            return _no_tls(where, kind, words)
        case Kind.UNKNOWN_NAME:
            return wrong(
                f"there is no host {host.partition(':')[0]}: {words}",
                f"Is {setting} written as a browser shows it? If so, this machine's DNS does not "
                f"know it; where only a proxy does, set {where.setting}.proxy.",
            )
        case Kind.NO_NAMES:
            return wrong(
                f"the name {host.partition(':')[0]} could not be looked up: {words}",
                "Look whether this machine has a network and its name server answers; where only "
                f"a proxy knows names, set {where.setting}.proxy.",
            )
        case Kind.REFUSED:
            return wrong(
                f"nothing listens at {host}: {words}",
                f"Is {setting} right, its port too? If so, a firewall on the way may refuse.",
            )
        case Kind.BEHIND_PROXY:
            return wrong(
                f"{host} cannot be reached: {words}",
                f"Look whether the proxy ({where.proxy}) reaches {host}.",
            )
        case Kind.SILENT:
            return wrong(
                f"{host} does not answer: {words}",
                f"Is {setting} right? If so, look whether a firewall drops connections to it; "
                f"where GitHub is reached through a proxy only, set {where.setting}.proxy.",
            )
        case Kind.OTHER:
            return wrong(
                f"{host} cannot be reached: {words}",
                f"Is {setting} right? If so, look at the network between; scaler itself tries "
                "again.",
            )


def answered(where: Where, answer: Answer) -> Finding:
    """Something answered to `/meta`, which every GitHub knows."""
    host, status = where.api, answer.status
    if status == 407:
        return _proxy_refuses(where, Kind.PROXY_ASKS_WHO, "407 Proxy Authentication Required")
    if _is_github(answer):
        version = answer.told.get("installed_version")
        kind = "" if not isinstance(version, str) else f", an Enterprise Server {version[:20]}"
        if status >= 500:
            return wrong(
                f"GitHub at {host} is ill: it answers {status}",
                "Wait; scaler itself tries again. For github.com see https://www.githubstatus.com.",
            )
        return well(f"{host} answers{kind}")
    asked = f"{where.scope.api}/meta"
    if status >= 500:
        return wrong(
            f"{host} answers {status} to {asked}, and nothing of GitHub's",
            "It may be down for maintenance, or what stands before it. Wait; scaler itself tries "
            "again.",
        )
    return wrong(
        f"{host} is no GitHub: it answers {status} to {asked}, {_shape(answer)}",
        f'Set {where.setting}.url (now "{where.scope.url}") to the address of the organization, '
        "repository or enterprise, as a browser shows it there.",
    )


def clock(ahead: float) -> list[Finding]:
    """Whether this machine's clock is right.

    Args:
        ahead: Seconds that GitHub's is ahead of it.
    """
    if abs(ahead) < _SKEW:
        return []
    where = "behind" if ahead > 0 else "ahead of"
    return [
        useful(
            f"this machine's clock is {abs(ahead):.0f} s {where} GitHub's",
            "Let it keep time by NTP: a runner whose clock is off by minutes is refused.",
        )
    ]


def _is_github(answer: Answer) -> bool:
    """Whether it may be: some servers keep `/meta` to themselves, and refuse it as the API does."""
    known = {"verifiable_password_authentication", "installed_version", "documentation_url"}
    if answer.status in (401, 403, 404):
        known.add("message")
    return "x-github-request-id" in answer.headers or not known.isdisjoint(answer.told)


def _shape(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        to = urlsplit(answer.headers.get("location", "")).netloc.rpartition("@")[2]
        return f"a redirection to {to[:100]}" if to else "a redirection"
    if "html" in answer.headers.get("content-type", ""):
        return "a web page"
    return "which is not what GitHub says"


def _no_proxy(where: Where, words: str) -> Finding:
    text = f"the proxy cannot be reached: {words}"
    if where.proxy_is_set:
        return wrong(text, f"Look whether it runs, and whether {where.proxy} names it right.")
    return wrong(
        text,
        f"Look whether it runs, and whether {where.proxy} names it right; {where.setting}.proxy "
        f"sets another, and NO_PROXY={where.api.partition(':')[0]} none.",
    )


def _proxy_refuses(where: Where, kind: Kind, words: str) -> Finding:
    if kind is Kind.PROXY_ASKS_WHO:
        return wrong(
            f"the proxy wants to know who asks: {words}",
            f"Give its user and password: http://USER:PASSWORD@HOST:PORT in {where.proxy}.",
        )
    return wrong(
        f"the proxy does not let us through to {where.api}: {words}",
        f"Have the proxy ({where.proxy}) allow {where.api}, and what GitHub's documents name "
        "beside it for self-hosted runners.",
    )


def _no_tls(where: Where, kind: Kind, reason: str) -> Finding:
    ca_file, text = f"{where.setting}.ca_file", f"{where.api} cannot be trusted: TLS: {reason}"
    if kind is Kind.UNKNOWN_AUTHORITY:
        if where.ca_file:
            return wrong(
                text,
                f"{ca_file} = {where.ca_file} does not hold the authority that signed its "
                "certificate: put that authority's certificate (PEM) there.",
            )
        return wrong(
            text,
            "It is signed by an authority that this machine does not know, the server's own or a "
            f"proxy's: put that authority's certificate (PEM) into a file and set {ca_file}.",
        )
    if kind is Kind.ANOTHER_NAME:
        return wrong(text, f"Set {where.setting}.url to the name that its certificate is for.")
    if kind is Kind.OUT_OF_DATE:
        return wrong(
            text, "Look at this machine's clock; if it is right, the server needs a new one."
        )
    return wrong(
        text,
        f"Does {where.api} speak TLS at all? If a proxy opens TLS on the way, set {ca_file} to its "
        "authority's certificate.",
    )
