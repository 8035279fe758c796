"""What a person should look at, of all profiles, on the plugin's own line until it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from scaler import Context


class Alarms:
    """The plugin's own line of the dashboard: every alarm that holds now, the oldest first.

    A profile has a line of its own too, but each poll writes it anew.
    """

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context
        self._held: dict[tuple[str, str], tuple[str, float]] = {}

    def tell(self, profile: str, what: str, text: str) -> bool:
        """Show an alarm, in place of the profile's earlier one of this name.

        Returns:
            Whether it is another one than is shown already.
        """
        earlier, _ = self._held.get((profile, what), ("", 0.0))
        self._held[profile, what] = text, trio.current_time()
        if earlier == text:
            return False
        self._show()
        return True

    def over(self, profile: str, what: str, *, at_least: float = 0.0) -> None:
        """It holds no more; what is not shown for `at_least` seconds yet stays for now."""
        _, since = self._held.get((profile, what), ("", 0.0))
        if (profile, what) in self._held and trio.current_time() >= since + at_least:
            del self._held[profile, what]
            self._show()

    def forget(self, profile: str) -> None:
        """Nothing of a profile's holds any more: nobody listens for it."""
        if gone := [key for key in self._held if key[0] == profile]:
            for key in gone:
                del self._held[key]
            self._show()

    def _show(self) -> None:
        texts = [f"{profile}: {text}" for (profile, _), (text, _) in self._held.items()]
        line = "; ".join(texts) or "what was wrong is over"
        self._context.report(line, ok=not texts, alarms=len(texts))
