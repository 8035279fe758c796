"""What every route is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler import Context
    from scaler_monitor.settings import Config


@dataclass(frozen=True)
class Site:
    """The scaler as its routes see it.

    Attributes:
        context: The way up to the core.
    """

    context: Context[Config, None]
