"""The way to GitHub: names, proxies, TLS, and whether it is GitHub that answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scaler_github.setup.findings import useful, well, wrong

if TYPE_CHECKING:
    from scaler import Finding
    from scaler_github.setup.asking import Answer
    from scaler_github.setup.where import Where

_CLASS = re.compile(r"^\w+(Error|Timeout): ")
_SKEW = 60.0  # seconds
_UNKNOWN_NAME = (
    "name or service not known",
    "no address associated",
    "nodename nor servname",
    "no host can have this name",
    "name does not resolve",
)
_NO_NAMES = ("temporary failure in name resolution", "try again")
_SELF_SIGNED = ("self-signed", "self signed", "unable to get local issuer", "unable to get issuer")


def unreachable(where: Where, why: str) -> Finding:
    """No answer came.

    Args:
        why: What the transport says of it.
    """
    low = why.lower()
    if low.startswith("the proxy refused: "):
        return _proxy_refuses(where, _plain(why.partition(": ")[2]))
    words = _plain(why)
    proxied = " through the proxy " in low
    if words.startswith("the proxy "):
        return _no_proxy(where, words)
    if " tls: " in f" {low}":
        return _no_tls(where, words)
    host, setting = where.api, f'{where.setting}.url = "{where.scope.url}"'
    if any(each in low for each in _UNKNOWN_NAME):
        return wrong(
            f"there is no host {host.partition(':')[0]}: {_reason(words)}",
            f"Is {setting} written as a browser shows it? If so, this machine's DNS does not know "
            f"it; where only a proxy does, set {where.setting}.proxy.",
        )
    if any(each in low for each in _NO_NAMES):
        return wrong(
            f"the name {host.partition(':')[0]} could not be looked up: {_reason(words)}",
            "Look whether this machine has a network and its name server answers; where only a "
            f"proxy knows names, set {where.setting}.proxy.",
        )
    if "connection refused" in low:
        return wrong(
            f"nothing listens at {host}: {_reason(words)}",
            f"Is {setting} right, its port too? If so, a firewall on the way may refuse.",
        )
    if proxied:
        return wrong(
            f"{host} cannot be reached: {words}",
            f"Look whether the proxy ({where.proxy}) reaches {host}.",
        )
    if "no connection" in low or "no whole answer" in low or "timed out" in low:
        return wrong(
            f"{host} does not answer: {words}",
            f"Is {setting} right? If so, look whether a firewall drops connections to it; where "
            f"GitHub is reached through a proxy only, set {where.setting}.proxy.",
        )
    return wrong(
        f"{host} cannot be reached: {words}",
        f"Is {setting} right? If so, look at the network between; scaler itself tries again.",
    )


def answered(where: Where, answer: Answer) -> Finding:
    """Something answered to `/meta`, which every GitHub knows."""
    host, status = where.api, answer.status
    if status == 407:
        return _proxy_refuses(where, "407 Proxy Authentication Required")
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
    text = f"the proxy cannot be reached: {words.removeprefix('the proxy ')}"
    if where.proxy_is_set:
        return wrong(text, f"Look whether it runs, and whether {where.proxy} names it right.")
    return wrong(
        text,
        f"Look whether it runs, and whether {where.proxy} names it right; {where.setting}.proxy "
        f"sets another, and NO_PROXY={where.api.partition(':')[0]} none.",
    )


def _proxy_refuses(where: Where, words: str) -> Finding:
    if words.startswith("407"):
        return wrong(
            f"the proxy wants to know who asks: {words}",
            f"Give its user and password: http://USER:PASSWORD@HOST:PORT in {where.proxy}.",
        )
    return wrong(
        f"the proxy does not let us through to {where.api}: {words}",
        f"Have the proxy ({where.proxy}) allow {where.api}, and what GitHub's documents name "
        "beside it for self-hosted runners.",
    )


def _no_tls(where: Where, words: str) -> Finding:
    reason, ca_file = words.rpartition("TLS: ")[2], f"{where.setting}.ca_file"
    text = f"{where.api} cannot be trusted: TLS: {reason}"
    low = reason.lower()
    if any(each in low for each in _SELF_SIGNED):
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
    if "hostname mismatch" in low or "ip address mismatch" in low:
        return wrong(text, f"Set {where.setting}.url to the name that its certificate is for.")
    if "expired" in low or "not yet valid" in low:
        return wrong(
            text, "Look at this machine's clock; if it is right, the server needs a new one."
        )
    return wrong(
        text,
        f"Does {where.api} speak TLS at all? If a proxy opens TLS on the way, set {ca_file} to its "
        "authority's certificate.",
    )


def _plain(why: str) -> str:
    return _CLASS.sub("", why)


def _reason(words: str) -> str:
    """The last part of `host:port: reason`."""
    return words.rpartition(": ")[2]
