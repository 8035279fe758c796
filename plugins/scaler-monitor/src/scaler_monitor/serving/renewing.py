"""Files that change while we serve, and the settings that name them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler_monitor.serving import tokens as reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_monitor.serving.certificate import Certificate, Loaded
    from scaler_monitor.serving.tokens import Look, Tokens
    from scaler_monitor.settings import Config

EVERY = 10.0  # seconds between two looks
SOON = 1.0  # seconds until the next, where a token may be good or not


class Files:
    """Uses what is in the files now.

    Args:
        config: Answers the settings as they are now.
        tokens: Those that are good.
        certificate: What is shown; None where nothing is encrypted.
        told: Called with what is wrong, when that changes; with nothing once all is well again.

    Attributes:
        refused: Why the last look left the certificate as it was; empty where nothing was wrong.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        tokens: Tokens,
        certificate: Certificate | None,
        told: Callable[[Sequence[str]], None],
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._certificate = certificate
        self._told = told
        self.refused = ""
        self._known: list[str] = []
        self._one = trio.Lock()
        self._limiter = trio.CapacityLimiter(1)  # a disk that hangs holds back nobody else

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await trio.sleep(min(EVERY, SOON) if self._tokens.doubtful else EVERY)
            await self.look()

    def forget(self) -> None:
        """Let go at once of tokens that the settings do not have any more. Reads nothing."""
        self._tokens.keep(self._config().token)

    async def look(self) -> None:
        """Look now, and go by what is found. What is left behind in a thread changes nothing."""
        async with self._one:
            loaded, looks = await trio.to_thread.run_sync(
                partial(self._read, self._config()), limiter=self._limiter, abandon_on_cancel=True
            )
            self.refused = loaded if isinstance(loaded, str) else ""
            found = [self.refused] if self.refused else []
            if self._certificate is not None and not isinstance(loaded, str | None):
                self._certificate.take(loaded)
            # (others may have been taken out while these were read)
            wanted = self._config().token
            found += self._tokens.take([each for each in looks if each.source in wanted])
            self._tokens.keep(wanted)
            if found != self._known:
                self._known = found
                self._told(found)

    def _read(self, config: Config) -> tuple[Loaded | str | None, tuple[Look, ...]]:
        loaded = None if self._certificate is None else self._certificate.look(config.tls)
        return loaded, reading.look(config.token)
