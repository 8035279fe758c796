"""Pages of REST lists, and what goes wrong while somebody turns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from scaler_github.testing.http import Request, Response, json_response

if TYPE_CHECKING:
    from scaler_github.testing.site import Site


def page(site: Site, request: Request, key: str | None, rows: list[dict[str, Any]]) -> Response:
    """One page of `rows` under `key`, with `total_count` and `Link`; without a key, an array.

    Under `Options.list_shift` the pages after the first are those of a list that has lost
    (or won) rows at its start, as GitHub's lists do when runners come and go meanwhile.
    """
    size = min(100, max(1, number(request.query.get("per_page"), 30)))
    at = max(1, number(request.query.get("page"), 1))
    shift = site.world.options.list_shift if at > 1 else 0
    start = max(0, (at - 1) * size + shift)
    total = max(0, len(rows) - shift)
    last = max(1, -(-total // size))
    links = []
    for rel, wanted in (("prev", at - 1), ("next", at + 1), ("last", last), ("first", 1)):
        forward = rel in {"next", "last"}
        if (forward and at < last) or (not forward and at > 1):
            query = urlencode({**request.query, "per_page": size, "page": wanted})
            links.append(f'<{site.origin}{request.path}?{query}>; rel="{rel}"')
    headers = {"link": ", ".join(links)} if links else {}
    shown = rows[start : start + size]
    return json_response(
        200, shown if key is None else {"total_count": total, key: shown}, **headers
    )


def number(text: str | None, default: int) -> int:
    """A number out of a query; `default` when it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else default
