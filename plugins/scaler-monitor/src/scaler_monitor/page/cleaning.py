"""What a plugin's panel may put into the page."""

from __future__ import annotations

import nh3

_TAGS = {
    *("a", "abbr", "b", "br", "caption", "code", "dd", "del", "details", "div", "dl", "dt", "em"),
    *("h4", "h5", "hr", "i", "ins", "kbd", "li", "ol", "p", "pre", "s", "samp", "small", "span"),
    *("strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time"),
    *("tr", "u", "ul"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
LONGEST = 64 << 10  # characters of a panel


def cleaned(html: str) -> str:
    """A fragment with nothing but text, its structure, and links to other pages.

    No pictures, forms, classes or ids: a panel neither loads anything, nor looks like a part of
    the page that it is not. Elements that were left open are closed.
    """
    return nh3.clean(
        html[:LONGEST].encode(errors="replace").decode(),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
    )
