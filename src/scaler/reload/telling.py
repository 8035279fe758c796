"""Telling plugins of their new settings: in time, and one that fails does not stop the rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.dispatch.words import said
from scaler.errors import HookFault
from scaler.hooks import SPEC, contract
from scaler.records import SettingsChange

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from scaler.dispatch import Dispatcher

log = logging.getLogger("scaler.reload")

HOOK = SPEC.on_settings_changed.__name__
LONGEST = 1000  # characters of one text that a plugin answers
MOST = 100  # texts


class Telling:
    """What each plugin was told, and what it said.

    Args:
        hooks: How they are told.
        hide: Puts `***` in place of secrets.

    Attributes:
        untold: What a plugin has not taken yet.
    """

    def __init__(self, hooks: Dispatcher, hide: Callable[[str], str]) -> None:
        self.untold: dict[str, SettingsChange] = {}
        self._hooks = hooks
        self._hide = hide
        self._why: dict[str, str] = {}
        self._said: dict[str, tuple[str, ...]] = {}
        self._left: dict[str, trio.Event] = {}  # calls that go on, though they were cancelled

    def due(
        self,
        new: Mapping[str, SettingsChange],
        own: Mapping[str, Container[str]],
        order: Sequence[str],
    ) -> list[str]:
        """Take down what is to be told; who has to be, what they did not take before included.

        Args:
            new: What has changed now, by plugin.
            own: The profiles of each plugin, as they are now.
            order: The plugins, in the settings' order.
        """
        for plugin, change in new.items():
            before = self.untold.get(plugin, SettingsChange())
            self.untold[plugin] = merged(before, change, own.get(plugin, ()))
        return [plugin for plugin in order if plugin in self.untold]

    async def tell(self, plugin: str) -> str:
        """Tell it what it has not taken yet; what went wrong, if anything did."""
        answer, trouble = await self._call(plugin, self.untold[plugin])
        if trouble:
            self._why[plugin] = trouble = self._hide(trouble)
            return trouble
        del self.untold[plugin]
        self._why.pop(plugin, None)
        self._said[plugin] = tuple(map(self._hide, answer))
        return ""

    async def ask(self, plugin: str) -> None:
        """Ask it what waits now; where it does not answer, it is as it was."""
        answer, trouble = await self._call(plugin, SettingsChange())
        if not trouble:
            self._said[plugin] = tuple(map(self._hide, answer))

    def awaited(self) -> frozenset[tuple[str, str]]:
        """Which profiles a plugin has not taken yet, by plugin and profile."""
        return frozenset(
            (plugin, name) for plugin, change in self.untold.items() for name in change.added
        )

    def waits(self) -> dict[tuple[str, str], str]:
        """Profiles of which a plugin said that they wait as a whole, and why; by plugin, profile.

        That is what stands at the path of a profile, or of the plugin's own table of it.
        """
        found = {}
        for plugin, texts in self._said.items():
            for text in texts:
                if (name := _whole(plugin, text)) is not None:
                    found[plugin, name] = text.partition(": ")[2] or text
        return found

    def restart(self, leaving: Container[str]) -> Iterator[str]:
        """What counts only after a restart, by what plugins said or did not take.

        Args:
            leaving: Profiles of which nobody waits any more that they be served.
        """
        for plugin, texts in self._said.items():
            for text in texts:
                if (name := _whole(plugin, text)) is None:
                    yield text
                elif name not in leaving:
                    yield f"{text} (that comes by itself, too)"
        for plugin, why in self._why.items():
            yield (
                f"plugins.{plugin}: it did not take what is new ({why}): that counts after a"
                " restart, or a reload that goes well"
            )

    async def _call(self, plugin: str, change: SettingsChange) -> tuple[list[str], str]:
        """Call the hook: what it answers, and what went wrong.

        Not by the usual way: a plugin whose service does not start may be waiting for just this,
        and no number of failures is a reason to leave it with old settings.
        """
        limit = contract(SPEC.on_settings_changed).deadline
        if (left := self._left.get(plugin)) is not None and not left.is_set():
            return [], "its last call was cancelled, and goes on still"
        call = self._hooks.begin(plugin, SPEC.on_settings_changed, change=change)
        try:
            with trio.move_on_after(limit):
                await call.over.wait()
            if not call.over.is_set():
                await self._hooks.stop(call)
        except BaseException:  # cancelled
            await self._hooks.stop(call)
            _, self._left[plugin] = self._hooks.ended(call)
            raise
        stopped = call.stopped
        error, self._left[plugin] = self._hooks.ended(call)
        if isinstance(error, HookFault):
            trouble = error.text
        elif stopped:
            trouble = f"took longer than {limit:g} s"
        else:
            trouble = said(error) if error is not None else call.trouble
        if trouble:
            extra = {"plugin": plugin, "hook": HOOK}
            log.error("%s.%s: %s", plugin, HOOK, trouble, extra=extra, exc_info=error)
            return [], trouble
        # (a text of a plugin's own class could be anything when it is looked at)
        return [str.__getitem__(text, slice(LONGEST)) for text in call.answer[:MOST]], ""


def _whole(plugin: str, text: str) -> str | None:
    """The profile that waits as a whole by what a plugin says; None where it says other things."""
    path = text.partition(": ")[0]
    root, _, name = path.removesuffix(f".{plugin}").partition(".")
    return name if root == "profiles" and name and "." not in name else None


def merged(before: SettingsChange, new: SettingsChange, own: Container[str]) -> SettingsChange:
    """Two changes as one, where the earlier was not taken.

    Args:
        before: The earlier.
        new: The later.
        own: The profiles that belong to the plugin now.
    """
    # (who did not take that one is gone has to let it go before it comes again)
    again = {name for name in before.removed if name in new.added}
    added = [name for name in dict.fromkeys([*before.added, *new.added]) if name in own]
    removed = dict.fromkeys([*before.removed, *new.removed])
    changed = dict.fromkeys([*before.changed, *new.changed])
    return SettingsChange(
        config=before.config or new.config,
        added=tuple(added),
        removed=tuple(name for name in removed if name not in own or name in again),
        changed=tuple(name for name in changed if name in own and name not in added),
    )
