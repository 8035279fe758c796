"""The dashboard as HTML: in parts, so that only what has changed need be sent and put in place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scaler import printable
from scaler_monitor.page import words
from scaler_monitor.page.scene import scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler import Runner, View
    from scaler_monitor.page.scene import Beside

PARTS = (
    "verdict",
    "override",
    "profiles",
    "waiting",
    "runners",
    "failed",
    "builders",
    "sources",
    "rooms",
    "limits",
    "panels",
    "events",
)


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """The dashboard at one moment.

    Attributes:
        version: Of the view that it shows.
        time: When it was made (Unix seconds).
        level: How it is, in a word.
        parts: HTML by the id of its element.
        html: All of it.
        etag: Names its content: the same content, the same text.
    """

    version: int
    time: float
    title: str
    level: str
    parts: Mapping[str, str]
    html: str
    etag: str


class Pages:
    """Makes HTML. Templates are read when they are first used: not for the event loop."""

    def __init__(self, version: str = "") -> None:
        self._version = version
        self._templates = Environment(
            loader=PackageLoader("scaler_monitor.page"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_printable,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(
            amount=words.amount,
            clock=words.clock,
            coming=words.coming,
            shortened=words.shortened,
            stamp=words.stamp,
            when=words.when,
        )

    def warm(self) -> None:
        """Read and compile the templates, which takes longer than to use them."""
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def fragment(
        self, view: View, runners: Sequence[Runner], beside: Beside, *, now: float
    ) -> Fragment:
        """The dashboard; `runners` are those that `chosen` gave."""
        shown = scene(view, runners, beside, now=now)
        parts = {name: self._render(f"{name}.html", shown) for name in PARTS}
        marked = {name: Markup(text) for name, text in parts.items()}
        told: dict[str, Any] = {
            "version": view.version,
            "time": now,
            "title": shown["title"],
            "level": shown["verdict"].level,
            "etag": hashlib.sha256("\0".join(parts.values()).encode()).hexdigest()[:32],
        }
        html = self._render("dashboard.html", {"told": told, "parts": marked})
        return Fragment(**told, parts=parts, html=html)

    def page(self, fragment: Fragment, scaler: str) -> str:
        """The whole page, around the dashboard."""
        return self._render(
            "page.html",
            {
                "title": fragment.title,
                "level": fragment.level,
                "scaler": scaler,
                "version": self._version,
                "fragment": Markup(fragment.html),
            },
        )

    def _render(self, name: str, values: Mapping[str, object]) -> str:
        text = self._templates.get_template(name).render(values)
        return text.encode(errors="replace").decode()  # half a surrogate pair is no text


def _printable(value: object) -> object:
    """Text without what would turn a line round, or speak to the terminal of who fetches it."""
    return printable(value) if type(value) is str else value
