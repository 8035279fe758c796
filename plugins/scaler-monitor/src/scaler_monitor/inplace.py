"""Which of the settings do not count yet, and until when. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler_monitor.serving.tokens import place

if TYPE_CHECKING:
    from scaler_monitor.settings import Config

_SOCKETS = "what is listened on stays as it was when scaler was started"


def restarts(opened: Config, wanted: Config) -> list[str]:
    """What of the wanted settings counts only after a restart, as `key path: why`.

    Args:
        opened: The settings that the sockets were opened by.
        wanted: As they are now.
    """
    found = []
    if wanted.listen != opened.listen:
        found.append(f"plugins.monitor.listen: {_SOCKETS}")
    if wanted.guest_listen != opened.guest_listen:
        found.append(f"plugins.monitor.guest_listen: {_SOCKETS}")
    if (wanted.tls is None) != (opened.tls is None):
        how = "not encrypted" if opened.tls is None else "encrypted with the certificate of before"
        found.append(f"plugins.monitor.tls: what is listened on stays {how}")
    elif (
        wanted.tls is not None and opened.tls is not None and wanted.tls.guests != opened.tls.guests
    ):
        how = "encrypted" if opened.tls.guests else "not encrypted"
        found.append(f"plugins.monitor.tls.guests: guest_listen stays {how}")
    return found


def refused(wanted: Config, why: str) -> list[str]:
    """What was read and cannot be used, as `key path: why`; it needs no restart.

    Args:
        wanted: The settings as they are now.
        why: What is wrong with the certificate; empty where nothing is.
    """
    if not why or wanted.tls is None:
        return []
    # (the path has to be the one that the core lists: only so it is not said to count)
    why = why.removeprefix("tls: ")
    return [f"plugins.monitor.tls: {why}; it counts once its files are good, without a restart"]


def waiting(wanted: Config, seconds: float) -> list[str]:
    """What was not read in time, as `key path: why`; it needs no restart.

    Args:
        wanted: The settings as they are now.
        seconds: For how long it was waited for.
    """
    why = f"not read within {seconds:g} s; it counts once it can be read, without a restart"
    found = [f"plugins.monitor.token: {place(each)}: {why}" for each in wanted.token]
    if wanted.tls is not None:
        found.append(f"plugins.monitor.tls: {why}")
    return found
