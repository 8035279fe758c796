"""What the tests of changed settings share."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import trio

from scaler import SecretSource, SettingsChange
from scaler_monitor.settings import Config


async def reload(served: Any, **settings: Any) -> list[str]:
    """Change the settings, as the core does: first the context, then the hook is called."""
    settings.setdefault("listen", ("127.0.0.1:0",))
    served.monitor._context.config = Config(**settings)
    with trio.fail_after(5):
        found: list[str] = await served.monitor.on_settings_changed(SettingsChange(config=True))
    return found


class Token:
    """A token in a file of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self.path.touch(0o600)
        self.write(secrets.token_hex(32))

    def write(self, text: str) -> None:
        self.text = text
        self.path.write_text(text)

    @property
    def source(self) -> SecretSource:
        return SecretSource(file=self.path)


async def status(client: httpx.AsyncClient, token: str) -> int:
    # Overrides cannot be made here: whoever gets as far as that has shown a good token
    sent = {"Authorization": f"Bearer {token}"}
    return (await client.delete("/policy/override", headers=sent)).status_code


async def until(true: Callable[[], Any]) -> None:
    with trio.fail_after(5):
        while not true():  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)
