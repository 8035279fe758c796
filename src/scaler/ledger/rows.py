"""Rows to JSON and back. Secrets are written here and nowhere else; the file is 0600."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from scaler.model.demand import Demand
from scaler.model.grant import Grant
from scaler.model.holding import judged
from scaler.model.jobs import KnownJob
from scaler.model.row import Row
from scaler.records import Order
from scaler.units import Secret

T = TypeVar("T")


def _plain(value: Any) -> Any:
    if type(value) is MappingProxyType:
        return value.copy()
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in the ledger")


def _rich(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"{kind.__name__} cannot be read from the ledger")


def _whole(record: T) -> T:
    """The record with every field its own, those too that an older scaler did not write.

    A decoder leaves what has a default and was not written to the class, and `evolve` copies only
    what a record has itself.
    """
    known = vars(record)
    changes = {name: _whole(each) for name, each in known.items() if is_dataclass(each)}
    changes = {name: each for name, each in changes.items() if each is not known[name]}
    if changes or len(known) < len(fields(record)):  # type: ignore[arg-type]
        return replace(record, **changes)  # type: ignore[type-var]
    return record


def dump(value: Any) -> str:
    """A record as JSON."""
    return msgspec.json.encode(value, enc_hook=_plain).decode()


_ROW = msgspec.json.Decoder(Row, dec_hook=_rich)
_JOB = msgspec.json.Decoder(KnownJob)
_DEMAND = msgspec.json.Decoder(Demand)
_GRANT = msgspec.json.Decoder(Grant, dec_hook=_rich)
_ORDER = msgspec.json.Decoder(Order)


def load_row(text: str) -> Row:
    """A runner's row; one of an older scaler does not say everything of its runner."""
    return judged(_whole(_ROW.decode(text)))


def load_job(text: str) -> KnownJob:
    """A job's row."""
    return _whole(_JOB.decode(text))


def load_demand(text: str) -> Demand:
    """A profile's demand."""
    return _whole(_DEMAND.decode(text))


def load_grant(text: str) -> Grant:
    """What was answered to whoever asked for runners."""
    return _whole(_GRANT.decode(text))


def load_order(text: str) -> Order:
    """What a person told it."""
    return _whole(_ORDER.decode(text))
