"""How a profile's image is made, from the settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler import Profile
    from scaler_libvirt.settings import ProfileConfig

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a profile's image is made. Times in seconds.

    Attributes:
        source: The disk that it is built from.
        max_age: How old an image may become before another is built; 0: as old as it likes.
        build_timeout: How long the builder may run.
        smoke_timeout: How long a machine may take to show that the image works; 0: none tries.
        keep: How many older images are kept for the way back.
        resources: What a builder takes of its host.
    """

    profile: str
    source: str
    max_age: float = 0.0
    build_timeout: float = 7200.0
    smoke_timeout: float = 600.0
    keep: int = 2
    resources: Mapping[str, int] = field(default_factory=lambda: _NOTHING)


def recipes(profiles: Mapping[str, Profile], own: Mapping[str, ProfileConfig]) -> dict[str, Recipe]:
    """The recipe of every profile whose image is built here."""
    return {
        name: Recipe(
            profile=name,
            source=settings.source_image,
            max_age=float(settings.base_image_max_age),
            build_timeout=float(settings.build_timeout),
            smoke_timeout=float(settings.smoke_timeout),
            keep=settings.keep_images,
            resources=profiles[name].resources if name in profiles else _NOTHING,
        )
        for name, settings in own.items()
        if settings.source_image
    }
