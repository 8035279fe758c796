"""Whether a record is what its annotations say, in every field, before anything relies on it.

A plugin's record goes into the ledger as JSON and comes back at the next start: what could not make
that way is refused where it enters, with the plugin's name, and not when it is too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from scaler.records import (
    Decline,
    Finding,
    Job,
    Machine,
    Message,
    Panel,
    Registration,
    Room,
    Selection,
)
from scaler.units import Secret

LARGEST_ID = 2**63 - 1  # what the ledger can hold


def unsound(record: Any) -> str:
    """What is wrong with a record, in words; empty where it is well."""
    kind = next((kind for kind in _DECODERS if isinstance(record, kind)), None)
    if kind is None:
        return f"{type(record).__name__} is not one of scaler's records"
    try:
        _DECODERS[kind].decode(msgspec.json.encode(record, enc_hook=_plain))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        return f"{kind.__name__}: {str(error).replace('`', '')}"
    if (
        isinstance(record, Machine)
        and record.runner is not None
        and not 0 < record.runner <= LARGEST_ID
    ):
        return f"Machine.runner is {record.runner}, wanted a runner's id"
    return ""


def unsound_report(text: Any, profile: Any, facts: Mapping[str, Any]) -> str:
    """What is wrong with what a plugin says of itself, in words; empty where it is well."""
    for name, value in {"text": text, "profile": profile}.items():
        if not isinstance(value, str):
            return f"report: {name} is {type(value).__name__}, wanted str"
    try:
        msgspec.json.encode(facts, enc_hook=_plain)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        return f"report: its facts: {error}"
    return ""


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, Mapping):
        return dict(value)
    base = next((each for each in (int, float, str) if isinstance(value, each)), None)
    mending = f": {base.__name__}(…) makes it so" if base else ""  # a Size from the settings
    raise TypeError(f"{type(value).__name__} is not plain data{mending}")


def _rich(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    raise TypeError(f"{kind.__name__} is not plain data")


_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, dec_hook=_rich)
    for kind in (Registration, Machine, Room, Job, Message, Finding, Decline, Selection, Panel)
}
