"""`/dashboard.json` as text, made anew only where something has changed."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from scaler_monitor.page import dashboard

if TYPE_CHECKING:
    from scaler import Runner, View
    from scaler_monitor.page.remains import Remains

APART = 500  # runners and jobs from which on a text is made in a thread


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text as it is sent."""

    content: bytes
    etag: str


class Texts:
    """Keeps the last text of the last view, and every runner's part of it.

    Runners are the same objects until something about them changes, so with ten thousand of them
    and one that changed, one is encoded.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._lock = trio.Lock()
        self._one = trio.CapacityLimiter(1)
        self._view: View | None = None
        self._text = Text(content=b"", etag="")
        self._runners: dict[int, tuple[Runner, Any, msgspec.Raw]] = {}

    async def of(self, view: View, remains: Remains | None = None) -> Text:
        """The text of this view, or of one that came after it.

        Args:
            view: What there is.
            remains: What is left of failures; it changes with the view.
        """
        if view is self._view:
            return self._text
        async with self._lock:
            if self._view is not None and self._view.version >= view.version:
                return self._text
            if len(view.runners) + len(view.jobs) < APART:
                self._text = self._make(view, remains)
            else:
                self._text = await trio.to_thread.run_sync(
                    self._make, view, remains, limiter=self._one
                )
            self._view = view
            return self._text

    def _make(self, view: View, remains: Remains | None) -> Text:
        kept, self._runners = self._runners, {}
        entries = []
        for each in view.runners:
            profile = view.profiles.get(each.profile)
            labels = None if profile is None else profile.profile.labels
            known = kept.get(each.id)
            if known is None or known[0] is not each or known[1] != labels:
                raw = msgspec.Raw(encoded(dashboard.listed(view, each, self._base)))
                known = each, labels, raw
            self._runners[each.id] = known
            entries.append(known[2])
        content = encoded(dashboard.around(view, entries, remains, base=self._base))
        return Text(content=content, etag=hashlib.sha256(content).hexdigest()[:32])


def encoded(value: Any) -> bytes:
    """A value as JSON, also where a text in it is none: half a surrogate pair."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(_finite(value), default=_parsed).encode()


def _parsed(value: Any) -> Any:
    assert isinstance(value, msgspec.Raw)
    return json.loads(bytes(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
