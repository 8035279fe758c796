"""Plugins whose panels break one promise each; the first breaks none."""

from __future__ import annotations

import html
from typing import Any

import trio

from scaler import Context, Panel, View, hookimpl

BROKEN: dict[str, list[type[Reasons]]] = {}


def breaks(promise: str) -> Any:
    def mark(cls: type[Reasons]) -> type[Reasons]:
        BROKEN.setdefault(promise, []).append(cls)
        return cls

    return mark


class Reasons:
    """Why each runner is as it is: keeps every promise."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context

    def shown(self, text: str) -> str:
        return html.escape(text)

    def data(self, view: View) -> dict[str, Any]:
        return {"runners": [runner.reason for runner in view.runners]}

    @hookimpl
    async def render_dashboard(self, view: View) -> Panel | None:
        await trio.lowlevel.checkpoint()
        if not view.runners:
            return None
        rows = "".join(
            f'<li title="{self.shown(runner.reason)}">{self.shown(runner.reason)}</li>'
            for runner in view.runners
        )
        return Panel(title="Reasons", html=f"<ul>{rows}</ul>", data=self.data(view))


@breaks("any-view")
class NeedsOne(Reasons):
    @hookimpl
    async def render_dashboard(self, view: View) -> Panel | None:
        return Panel(title=view.runners[0].name)


@breaks("any-view")
class NeedsPlainText(Reasons):
    def shown(self, text: str) -> str:
        return text.encode("ascii").decode()


@breaks("panel-in-time")
class OneByOne(Reasons):
    @hookimpl
    async def render_dashboard(self, view: View) -> Panel | None:
        for _ in view.runners:
            await trio.sleep(0.01)
        return await super().render_dashboard(view)


@breaks("escapes")
class Raw(Reasons):
    def shown(self, text: str) -> str:
        return text


@breaks("escapes")
class QuotesAreLeft(Reasons):
    def shown(self, text: str) -> str:
        return html.escape(text, quote=False)


class Around(Reasons):
    """Escapes, where that is no help."""

    around = "{}"

    @hookimpl
    async def render_dashboard(self, view: View) -> Panel | None:
        panel = await super().render_dashboard(view)
        reason = html.escape(view.runners[0].reason) if view.runners else ""
        return panel and Panel(title="Reasons", html=self.around.format(reason))


class Links(Around):
    """Keeps its promises: its links go where it says."""

    around = '<a href="/runners?why={0}" title="{0}">{0}</a>'


@breaks("escapes")
class InALink(Around):
    around = '<a href="{}">why</a>'


@breaks("escapes")
class InAHandler(Around):
    around = "<b onclick=\"alert('{}')\">why</b>"


@breaks("escapes")
class InAScript(Around):
    around = "<script>why = {}</script>"


@breaks("escapes")
class InAComment(Reasons):
    @hookimpl
    async def render_dashboard(self, view: View) -> Panel | None:
        await trio.lowlevel.checkpoint()
        reason = view.runners[0].reason if view.runners else ""
        return Panel(title="Reasons", html=f"<p>why</p><!-- {reason} -->")


@breaks("data-is-plain")
class ByNumber(Reasons):
    def data(self, view: View) -> dict[str, Any]:
        return {"reasons": {runner.id: runner.reason for runner in view.runners}}


@breaks("view-unchanged")
class Sorts(Reasons):
    @hookimpl
    async def render_dashboard(self, view: View) -> Panel | None:
        panel = await super().render_dashboard(view)
        for profile in view.profiles.values():
            profile.counts.clear()  # type: ignore[attr-defined]
        return panel


class NoPanel:
    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context

    @hookimpl
    async def on_message(self) -> None: ...
