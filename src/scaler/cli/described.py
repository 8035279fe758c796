"""One plugin told in full: its hooks with their terms, and its settings with their meaning."""

from __future__ import annotations

import math
import shutil
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from scaler.cli.terminal import painter, table
from scaler.hooks import Kind
from scaler.loading.uses import Use, place, uses_of
from scaler.log import printable
from scaler.settings.convert import ShapeError, check_shape
from scaler.settings.shown import Table, tables
from scaler.settings.shown import summary as summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.hooks import Contract
    from scaler.loading import Found, LoadedPlugin

_KINDS = {
    Kind.OWN: "one long call, started and restarted by the core",
    Kind.TELL: "delivered in order from a mailbox of the plugin's own; nobody waits",
    Kind.VOTE: "all plugins at once; each may object",
    Kind.ASK: "one plugin after another; the first answer wins",
    Kind.GATHER: "all plugins at once; each answer is kept",
    Kind.ROUTE: "only the plugin that the profile or the runner belongs to",
}
_WIDEST = 200  # columns: longer lines are not read
_ROOM = 50  # columns that meanings need at least to stand beside the rest


@dataclass(frozen=True, kw_only=True)
class Described:
    """One plugin.

    Attributes:
        origin: Where it is, for people.
        api: The version of the plugin API that it says it is written for; empty where it says none.
        enabled: None where no settings were given.
        places: For each hook which of the enabled plugins with it this is, and how many they are.
        broken: Why it cannot be used, in lines; empty where it can.
    """

    name: str
    origin: str
    distribution: str
    version: str
    summary: str
    api: str
    enabled: bool | None
    only_where_named: bool
    uses: Sequence[Use]
    places: Mapping[str, tuple[int, int] | None]
    tables: Sequence[Table]
    broken: str

    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "name": self.name,
            "origin": self.origin,
            "distribution": self.distribution,
            "version": self.version,
            "summary": self.summary,
            "api": self.api or None,
            "enabled": self.enabled,
            "only_where_named": self.only_where_named,
            "hooks": [
                {
                    "name": use.hook,
                    "kind": str(use.terms.kind),
                    "deadline": None if math.isinf(use.terms.deadline) else use.terms.deadline,
                    "thread": use.threaded,
                    "place": (self.places[use.hook] or (None,))[0],
                    "of": (self.places[use.hook] or (None, None))[1],
                }
                for use in self.uses
            ],
            "settings": [asdict(each) for each in self.tables],
            "broken": self.broken or None,
        }


def described(
    name: str,
    found: Sequence[Found],
    plugin: LoadedPlugin | None,
    broken: str,
    enabled: Mapping[str, bool] | None,
    on: Mapping[str, LoadedPlugin],
) -> Described:
    """Read everything off a plugin that is loaded, or say why it is not.

    Args:
        name: What it is called.
        found: Where it is.
        plugin: What was loaded of it, if it could be.
        broken: Why it could not.
        enabled: Which plugins are enabled, where that is known.
        on: The enabled ones, in the settings' order.
    """
    shown: list[Table] = []
    uses: list[Use] = []
    if plugin is not None:
        uses = uses_of(plugin.cls)
        try:
            for where, cls in (
                (f"plugins.{name}", plugin.config),
                (f"profiles.X.{name}", plugin.profile_config),
            ):
                if cls is not None:
                    check_shape(cls)
                    shown += tables(where, cls)
        except ShapeError as error:
            broken = f"plugin {name}: {error}"
    return Described(
        name=name,
        origin=" and ".join(each.origin for each in found),
        distribution=found[0].dist if len(found) == 1 else "",
        version=found[0].version if len(found) == 1 else "",
        summary=summary_of(plugin.cls) if plugin else "",
        api=plugin.api if plugin else "",
        enabled=None if enabled is None else enabled[name],
        only_where_named=bool(plugin and plugin.only_where_named),
        uses=uses,
        places={use.hook: place(name, use.hook, on) for use in uses},
        tables=shown,
        broken=broken,
    )


def told(plugin: Described, stream: TextIO) -> list[str]:
    """The plugin as lines for people, folded to the terminal where it is one."""
    paint, width = painter(stream), _width(stream)
    lines = [paint(printable(plugin.name), "bold")]
    about = [plugin.summary] if plugin.summary else []
    about.append(", ".join(filter(None, _about(plugin))))
    for text in about:
        lines += _folded(text, width)
    for text in plugin.broken.splitlines():
        lines += [paint(line, "red") for line in _folded(f"BROKEN: {text}", width)]
    if plugin.uses:
        rows = [["", "HOOK", "KIND", "DEADLINE", "CALLED", "ORDER"]]
        for use in plugin.uses:
            called = "in a thread" if use.threaded else "async"
            order = _order(plugin.places[use.hook])
            rows.append(["", use.hook, str(use.terms.kind), deadline(use.terms), called, order])
        if plugin.enabled is None:
            rows = [row[:-1] for row in rows]
        head, *rest = table(rows, stream).splitlines()
        lines += ["", paint(head, "dim"), *rest]
    for each in plugin.tables:
        lines += [
            "",
            f"  {paint(printable(each.heading), 'bold')}",
            *_settings(each, stream, width),
        ]
    return lines


def legend(plugins: Sequence[Described], stream: TextIO, *, ordered: bool) -> list[str]:
    """What the words in the tables mean."""
    there = {use.terms.kind for plugin in plugins for use in plugin.uses}
    rows = [[str(kind), text] for kind, text in _KINDS.items() if kind in there]
    if there and not ordered:
        rows.append(["", "-c FILE tells the order of calls among the plugins that it enables."])
    if not rows:
        return []
    return [painter(stream)(line, "dim") for line in table(rows, stream).splitlines()]


def deadline(terms: Contract) -> str:
    """A hook's deadline in words."""
    if math.isinf(terms.deadline):
        return "start_timeout"
    return f"{'ready in ' if terms.kind is Kind.OWN else ''}{terms.deadline:g} s"


def _about(plugin: Described) -> list[str]:
    state = {None: "", True: "enabled", False: "not enabled"}[plugin.enabled]
    named = "serves only profiles that carry its table" if plugin.only_where_named else ""
    api = f"API {plugin.api}" if plugin.api else "API not said"
    return [plugin.origin or "not installed", "" if plugin.broken else api, state, named]


def _order(found: tuple[int, int] | None) -> str:
    if found is None:
        return "-"
    nth, of = found
    return "the only one" if of == 1 else f"{_nth(nth)} of {of}"


def _nth(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _settings(shown: Table, stream: TextIO, width: int) -> list[str]:
    """Four columns where they fit; else the meaning below type and default."""
    rows = []
    for each in shown.settings:
        default = "needed" if each.needed else each.default or "-"
        rows.append(["", "", each.key, each.type, default, each.meaning])
    if not rows:
        return ["    (no settings)"]
    columns = zip(*(row[:-1] for row in rows), strict=True)
    if sum(max(map(len, column)) + 2 for column in columns) + _ROOM > width:
        rows = [
            line
            for margin, _, key, kind, default, meaning in rows
            for line in (
                [margin, "", key, f"{kind}; {_said(default)}"],
                [margin, "", "", meaning],
            )
            if any(line)
        ]
    lines = table(rows, stream).splitlines()
    return [_key_bold(line, stream) for line in lines]


def _said(default: str) -> str:
    return {"needed": "needed", "-": "no default"}.get(default, f"default {default}")


def _key_bold(line: str, stream: TextIO) -> str:
    key, gap, rest = line[4:].partition(" ")
    return f"    {painter(stream)(key, 'bold')}{gap}{rest}" if key else line


def _folded(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text), width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


def _width(stream: TextIO) -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST) if stream.isatty() else 10_000
