"""What a plugin with a panel promises."""

from __future__ import annotations

from functools import partial

from scaler.testing.promises import Promise

_SHOWS = partial(Promise, kind="panel", hook="render_dashboard")

ANY_VIEW = _SHOWS(
    name="any-view",
    text="Whatever the view holds, it answers a panel, or None.",
    quote="This plugin's panel on the dashboard, or None where it has nothing to show.",
)
IN_TIME = _SHOWS(
    name="panel-in-time",
    text="With 1,000 runners it answers within 1 s.",
    quote="An error, or taking too long, costs this plugin's own panel.",
)
ESCAPES = _SHOWS(
    name="escapes",
    text="Text from outside makes no element and no attribute in its `html`, begins no address, "
    "and stands in no script, style, handler or comment (there, escaping does not help).",
    quote="`html` is shown as it is: escape whatever in it comes from outside.",
)
FOR_PROGRAMS = _SHOWS(
    name="data-is-plain",
    text="Its `data` is plain: it goes into JSON, and comes back the same.",
    quote="`html` is a fragment; `data` is for programs.",
    where="scaler.Panel",
)
VIEW_KEPT = _SHOWS(
    name="view-unchanged",
    text="It changes nothing in the view.",
    quote="An immutable snapshot of everything, without secrets.",
    where="scaler.View",
)

PANEL = (ANY_VIEW, IN_TIME, ESCAPES, FOR_PROGRAMS, VIEW_KEPT)
