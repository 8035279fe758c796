"""Two sources, two provisioners, a plugin that is neither, and a way to load a text with them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from scaler import Duration, Secret, SettingsError, Size, hookimpl
from scaler.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Plain:
    def __init__(self, context: object) -> None:
        self.context = context


class Source(Plain):
    @hookimpl
    async def register_runner(self, runner: object) -> None: ...
    @hookimpl
    async def unregister_runner(self, runner: object) -> None: ...
    @hookimpl
    async def list_registrations(self) -> None: ...


class Provisioner(Plain):
    @hookimpl
    async def provision_runner(self, runner: object, registration: object) -> None: ...
    @hookimpl
    async def destroy_runner(self, runner: object) -> None: ...
    @hookimpl
    async def list_machines(self) -> None: ...


class Queue(Source):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        url: str
        token: Secret | None = None
        interval: Duration = Duration(60)  # noqa: RUF009
        keep: Size = Size(1)  # noqa: RUF009

    @dataclass(frozen=True, kw_only=True)
    class ProfileConfig:
        pool: str


class Watcher(Plain):
    @hookimpl
    async def check(self) -> None: ...


CLASSES: dict[str, type[Any]] = {
    "queue": Queue,
    "rest": Source,
    "box": Provisioner,
    "cloud": Provisioner,
    "watcher": Watcher,
}


class Bench:
    """Loads texts from one folder."""

    classes: ClassVar = CLASSES

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scaler.toml"

    def load(
        self,
        text: str,
        *,
        environ: Mapping[str, str] | None = None,
        extra: Mapping[str, type[Any]] | None = None,
    ) -> Settings:
        self.file.write_text(textwrap.dedent(text).lstrip("\n"))
        return load(self.file, extra={**CLASSES, **(extra or {})}, environ=environ or {})[0]

    def problems(
        self,
        text: str,
        *,
        environ: Mapping[str, str] | None = None,
        extra: Mapping[str, type[Any]] | None = None,
    ) -> list[str]:
        """What is wrong with it, each without the file's path: `LINE: …`."""
        with pytest.raises(SettingsError) as caught:
            self.load(text, environ=environ, extra=extra)
        assert all(each.startswith(f"{self.file}:") for each in caught.value.problems)
        return [each.removeprefix(f"{self.file}:") for each in caught.value.problems]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
