"""What a machine's disk stands on, and why it may not be had. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler_libvirt.machine.shape import DiskFormat


@dataclass(frozen=True, kw_only=True)
class Base:
    """A disk that machines stand on and none writes to.

    Attributes:
        path: On the hypervisor; or, without a slash, the name of a volume in the host's pool.
        format: What it holds.
        image: Its name, where we built it.
    """

    path: str
    format: DiskFormat
    image: str = ""


class CannotBeMadeError(Exception):
    """A profile's machine cannot be made on this host until a person, or time, mends something."""


class NoImage(CannotBeMadeError):
    """A profile's image is not there yet."""


class BaseMissingError(CannotBeMadeError):
    """The disk that a machine is to stand on is not there, or cannot be read."""


class PoolTroubleError(CannotBeMadeError):
    """The pool for a machine's volumes is not there, or is not active."""


class NetworkTroubleError(CannotBeMadeError):
    """The network for a machine is not there, not active, or has no address left."""
