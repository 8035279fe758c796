"""The page's HTML, made and read."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from scaler import Machine, Runner, RunnerState, View
from scaler_monitor.page.fragment import Fragment, Pages
from scaler_monitor.page.scene import Beside, chosen

from .views import NOW

VOID = {"br", "img", "meta", "link", "rect", "path", "circle", "polygon", "polyline"}


def fragment(of: View, beside: Beside | None = None, now: float = NOW) -> Fragment:
    return Pages().fragment(of, chosen(of), beside or Beside(), now=now)


class Reader(HTMLParser):
    """Elements and their attributes; knows whether each was closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.told: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.told.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.told).split())


def busy(number: int = 7, **more: Any) -> Runner:
    made: dict[str, Any] = {
        "id": number,
        "name": f"linux.{number}@here",
        "profile": "linux",
        "state": RunnerState.BUSY,
        "since": NOW - 60,
        "job": f"j{number}",
        "machine": Machine(runner=number, id="m", room="vm1", addresses=("10.0.0.7",)),
        **more,
    }
    return Runner(**made)
