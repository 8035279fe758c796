"""The dashboard: the page, its parts, and the same as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from quart import Blueprint, Response

from scaler_monitor.errors import as_json
from scaler_monitor.page import dashboard

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler import View
    from scaler_monitor.site import Site


def routes(site: Site) -> Blueprint:
    """`/dashboard.json`."""
    blueprint = Blueprint("page", __name__)
    rendered = _Rendered(dashboard.dashboard)

    @blueprint.get("/dashboard.json")
    async def dashboard_json() -> Response:
        return as_json(rendered(site.context.view()))

    return blueprint


class _Rendered:
    """Keeps the last text: a view is the same object until something changes."""

    def __init__(self, render: Callable[[View], Any]) -> None:
        self._render = render
        self._view: View | None = None
        self._text = ""

    def __call__(self, view: View) -> str:
        if view is not self._view:
            self._text = json.dumps(self._render(view))
            self._view = view
        return self._text
