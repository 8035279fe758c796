"""The page's own files: its style, its script and its icons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    type: str
    etag: str


class Assets:
    """All of them, in memory.

    Attributes:
        version: Names the content of them all.
    """

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}
        for file in resources.files("scaler_monitor.page").joinpath("static").iterdir():
            kind = _TYPES.get(file.name.rpartition(".")[2])
            if kind is not None:
                content = file.read_bytes()
                etag = hashlib.sha256(content).hexdigest()[:16]
                self._assets[file.name] = Asset(content=content, type=kind, etag=etag)
        known = "".join(f"{name}{asset.etag}" for name, asset in sorted(self._assets.items()))
        self.version = hashlib.sha256(known.encode()).hexdigest()[:12]

    def get(self, name: str) -> Asset | None:
        """One by its name."""
        return self._assets.get(name)
