"""Whether a record is what its annotations say, in every field, before anything relies on it.

A plugin's record goes into the ledger as JSON and comes back at the next start: what could not make
that way is refused where it enters, with the plugin's name, and not when it is too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args, get_type_hints

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
    return copied(record)[1]


def copied(record: Any) -> tuple[Any, str]:
    """A record of scaler's own that says what this one says now, or what is wrong with it in words.

    A plugin may keep what it has answered, and change what that holds later.
    """
    kind = next((kind for kind in _DECODERS if isinstance(record, kind)), None)
    if kind is None:
        return None, f"{type(record).__name__} is not one of scaler's records"
    try:
        copy = _DECODERS[kind].decode(msgspec.json.encode(record, enc_hook=_plain))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        return None, f"{kind.__name__}: {str(error).replace('`', '')}"
    if isinstance(copy, Machine) and copy.runner is not None and not 0 < copy.runner <= LARGEST_ID:
        return None, f"Machine.runner is {copy.runner}, wanted a runner's id"
    # JSON has only text for keys, and no tuples: whoever looks at an answer sees what it was
    again = {name: _as_it_is(getattr(record, name)) for name in _FREE[kind] if getattr(copy, name)}
    if isinstance(copy, Registration) and copy.config is not None:  # a secret, so not encoded
        again["config"] = Secret(f"{record.config.reveal()}")
    return replace(copy, **again) if again else copy, ""


def _as_it_is(value: Any) -> Any:
    """A copy of plain data; what is neither a container nor plain comes as JSON has it."""
    if isinstance(value, Mapping):
        return {_as_it_is(key): _as_it_is(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_as_it_is(each) for each in value]
        return tuple(items) if isinstance(value, tuple) else items
    if value is None or type(value) in (str, int, float, bool):
        return value
    return msgspec.to_builtins(value, enc_hook=_plain)


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
_FREE = {  # fields that hold a plugin's own facts
    kind: [name for name, hint in get_type_hints(kind).items() if Any in get_args(hint)]
    for kind in _DECODERS
}
