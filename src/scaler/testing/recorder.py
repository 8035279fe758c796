"""Every call of a hook, as it was seen: what a plugin was asked, and what it answered."""

from __future__ import annotations

from collections import Counter

import trio

from scaler.dispatch import HookCall
from scaler.hooks import hook_names

__all__ = ["HookCall", "HookRecorder"]


class HookRecorder:
    """Remembers the calls of hooks: hand it to `serve(trace=…)`.

    Attributes:
        calls: Every call that has ended, in the order in which they did.
    """

    def __init__(self) -> None:
        self.calls: list[HookCall] = []
        self._news = trio.Event()

    def __call__(self, call: HookCall) -> None:
        """Remember a call."""
        self.calls.append(call)
        self._news.set()
        self._news = trio.Event()

    def of(self, hook: str, plugin: str | None = None) -> list[HookCall]:
        """The calls of one hook, of one plugin or of all."""
        return [
            call
            for call in self.calls
            if call.hook == hook and (plugin is None or call.plugin == plugin)
        ]

    async def wait_for(
        self, hook: str, count: int = 1, *, plugin: str | None = None, within: float = 10.0
    ) -> HookCall:
        """Wait until a hook was called so many times in all; answer the last of these calls.

        Raises:
            trio.TooSlowError: It was not, so many seconds later; what was called instead.
            LookupError: There is no such hook.
        """
        if hook not in hook_names():
            raise LookupError(f"found no hook {hook!r}, wanted one of {', '.join(hook_names())}")
        with trio.move_on_after(within):
            while len(self.of(hook, plugin)) < count:
                await self._news.wait()
        if len(self.of(hook, plugin)) < count:
            seen = Counter(f"{call.plugin}.{call.hook}" for call in self.calls)
            called = ", ".join(f"{name} ({times})" for name, times in seen.items()) or "nothing"
            raise trio.TooSlowError(f"no call of {hook} within {within:g} s; called were {called}")
        return self.of(hook, plugin)[count - 1]
