"""`check_panel`: a panel for whatever there is to see."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from scaler.hooks import SPEC
from scaler.testing.promises import promised, told_in_short
from scaler.testing.promises_panel import ANY_VIEW, ESCAPES, FOR_PROGRAMS, IN_TIME, VIEW_KEPT
from scaler.testing.trial import check_what_all_have, open_trial
from scaler.testing.views import ATTRIBUTE, ELEMENT, empty, hostile, large

if TYPE_CHECKING:
    from scaler.records import Panel, View
    from scaler.testing.promises import Promise
    from scaler.testing.site import Make
    from scaler.testing.stage import Stage


@told_in_short
async def check_panel(
    make: Make,
    *,
    settings: str = "",
    plugin: type[Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """See that a plugin with a panel keeps the promises of `render_dashboard`.

    It is asked for its panel of a view with nothing in it, of one with 1,000 runners, and of one
    with hostile text in every field that can come from outside.

    Args:
        make: The plugin's class, or a function that makes the plugin from its context.
        settings: TOML, as a site would write it; what is missing is filled in.
        plugin: The plugin's class, where `make` is a function.
        environ: Where secrets that the settings give by `env` come from.

    Raises:
        PromiseBroken: It does not keep one; which one, what was seen, and where it is written.
        SettingsError: The settings are wrong.
        PluginError: The class is no plugin.
    """
    async with (
        open_trial(make, settings=settings, plugin=plugin, environ=environ) as trial,
        trial.stage() as stage,
    ):
        if not stage.has(SPEC.render_dashboard):
            raise ANY_VIEW.broken("it has no render_dashboard")
        await check_what_all_have(stage)
        profiles = trial.site.settings.profiles
        await _panel(stage, empty(stage.core), ANY_VIEW, "of an empty view")
        view = large(stage.core, profiles, stage.scaler)
        await _panel(stage, view, IN_TIME, "of a view with 1,000 runners")
        view = hostile(stage.core, profiles, stage.scaler)
        panel = await _panel(stage, view, ANY_VIEW, "of a view with hostile text")
        if panel is not None:
            _escaped(panel.html)


_ADDRESSES = ("href", "src", "action", "formaction", "data", "xlink:href")
_KNOWN = re.compile(r"(https?://|mailto:|[/?#.])")


async def _panel(stage: Stage, view: View, promise: Promise, what: str) -> Panel | None:
    stage.core.view_now = view
    before = repr(view)
    with promised(promise, f"its panel {what}"):
        panel = await stage.call(SPEC.render_dashboard, view=view)
    if repr(view) != before:
        raise VIEW_KEPT.broken(f"the view is another one after its panel {what}")
    if panel is not None:
        _plain(dict(panel.data))
    return panel


def _plain(data: dict[str, Any]) -> None:
    try:
        back = json.loads(json.dumps(data, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise FOR_PROGRAMS.broken(f"{type(error).__name__}: {error}") from error
    if back != data:
        raise FOR_PROGRAMS.broken(f"{data} comes back as {back}")


def _escaped(html: str) -> None:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if reader.found:
        raise ESCAPES.broken(f"{reader.found[0]} in {html}")


class _Reader(HTMLParser):
    """Reads HTML as a browser would, and finds what hostile text has made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if tag == ELEMENT:
            self.found.append(f"an element <{tag}>")
        self.found += [
            f"an attribute {name}" for name, _ in attrs if name.strip("\"'").startswith(ATTRIBUTE)
        ]
        self._within = tag
        for name, value in attrs:
            if ATTRIBUTE not in (value or ""):
                continue
            if name.startswith("on") or (name in _ADDRESSES and not _KNOWN.match(value or "")):
                self.found.append(f"text from outside in {name}=")

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        """Text, also that of scripts."""
        if self._within in ("script", "style") and ATTRIBUTE in data:
            self.found.append(f"text from outside in a <{self._within}>")

    def handle_comment(self, data: str) -> None:
        """A comment, which a text may end."""
        if f"<{ELEMENT}" in data:
            self.found.append("text from outside in a comment")
