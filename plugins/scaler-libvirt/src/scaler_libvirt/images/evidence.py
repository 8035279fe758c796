"""What is left for people of a build that failed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from scaler import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

REASON, LOG, SCREEN = "reason.txt", "serial.log", "screenshot.png"
LARGEST = 1 << 20  # bytes of one item


class Cabinet(Protocol):
    """Where it is kept: `Context` is one."""

    async def keep(self, subject: int | str, name: str, data: bytes) -> bool: ...  # noqa: D102
    def picture(self, subject: int | str) -> Picture | None: ...  # noqa: D102


async def keep(
    cabinet: Cabinet,
    profile: str,
    *,
    facts: Mapping[str, str],
    log: bytes,
    screen: bytes | None,
    logger: logging.LoggerAdapter[logging.Logger],
) -> None:
    """Keep what there is. Never raises: the build has failed, whether this is kept or not.

    Args:
        cabinet: Where.
        profile: Whose image it would have been.
        facts: What `reason.txt` says.
        log: The end of what it wrote to its serial port.
        screen: Its screen; where there is none, the last picture that was taken of it.
        logger: Told where it cannot be kept.
    """
    if screen is None and (picture := cabinet.picture(profile)) is not None:
        screen = picture.png
    told = {"time": time.strftime("%Y-%m-%d %H:%M:%S %z"), **facts}
    reason = "".join(f"{name}: {text}\n" for name, text in told.items())
    items = {
        REASON: reason.encode("utf-8", "replace"),
        LOG: log[-LARGEST:],
        SCREEN: screen if screen is not None and len(screen) <= LARGEST else b"",
    }
    await _put(cabinet, profile, items, logger)


async def forget(
    cabinet: Cabinet, profile: str, logger: logging.LoggerAdapter[logging.Logger]
) -> None:
    """A build went well: what was kept of the last failure would only mislead."""
    await _put(cabinet, profile, dict.fromkeys((REASON, LOG, SCREEN), b""), logger)


async def _put(
    cabinet: Cabinet,
    profile: str,
    items: Mapping[str, bytes],
    logger: logging.LoggerAdapter[logging.Logger],
) -> None:
    for name, data in items.items():
        try:
            await cabinet.keep(profile, name, data)
        except Exception as error:
            logger.warning("%s of the image of %s is not kept: %s", name, profile, error)
