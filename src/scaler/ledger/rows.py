"""Rows to JSON and back. Secrets are written here and nowhere else; the file is 0600."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from scaler.model.demand import Demand
from scaler.model.grant import Grant
from scaler.model.jobs import KnownJob
from scaler.model.row import Row
from scaler.units import Secret


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


def dump(value: Any) -> str:
    """A record as JSON."""
    return msgspec.json.encode(value, enc_hook=_plain).decode()


_ROW = msgspec.json.Decoder(Row, dec_hook=_rich)
_JOB = msgspec.json.Decoder(KnownJob)
_DEMAND = msgspec.json.Decoder(Demand)
_GRANT = msgspec.json.Decoder(Grant, dec_hook=_rich)


def load_row(text: str) -> Row:
    """A runner's row."""
    return _ROW.decode(text)


def load_job(text: str) -> KnownJob:
    """A job's row."""
    return _JOB.decode(text)


def load_demand(text: str) -> Demand:
    """A profile's demand."""
    return _DEMAND.decode(text)


def load_grant(text: str) -> Grant:
    """What was answered to whoever asked for runners."""
    return _GRANT.decode(text)
