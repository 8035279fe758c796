"""The names that a request may ask for, and the pages that may send it.

A page of another site can give our address a name of its own, and then reads our answers as if they
were its own. So a name counts only if it is known to be ours. Nobody can give an address to
another name than that address itself: those need no list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scaler_monitor.serving.addresses import parsed
from scaler_monitor.settings import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler_monitor.settings import Config

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://([^/]+)", re.ASCII)


class Hosts:
    """The names that are ours.

    Args:
        names: Without ports.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {"localhost", *map(_plain, names)}

    @classmethod
    def of(cls, config: Config, listens: Iterable[str] = ()) -> Hosts:
        """Those that the settings tell.

        Args:
            config: The settings.
            listens: What is listened on beside, as `listen` has it.
        """
        addresses = map(parse, (*config.listen, *config.guest_listen, *listens))
        told = [address[0] for address in addresses if isinstance(address, tuple)]
        external = urlsplit(config.external_base_url).hostname
        return cls([*told, *config.allowed_hosts, *([external] if external else [])])

    def allow(self, host: str) -> bool:
        """Whether a request may ask for this, which is the value of its header `Host`."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        if match["v6"]:
            return parsed(match["v6"]) is not None
        return _plain(match["name"]) in self._names or parsed(match["name"]) is not None


def is_own(origin: str, host: str, base_url: str) -> bool:
    """Whether a page of this origin is one of ours.

    Args:
        origin: The value of the header `Origin`.
        host: The value of the header `Host` beside it.
        base_url: What others reach us as.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    url = urlsplit(base_url)
    return match[1] == host or origin == f"{url.scheme}://{url.netloc}"


def _plain(name: str) -> str:
    return name.casefold().removesuffix(".")
