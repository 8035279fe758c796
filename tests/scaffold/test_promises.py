"""One file keeps the promises as a package does (whose own tests say so)."""

from __future__ import annotations

import itertools
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler import SelectionRequest
from scaler.loading import load_classes
from scaler.scaffold import named, render_file, write_file
from scaler.testing import check_panel, check_provisioner, check_selector, check_source

pytestmark = pytest.mark.once


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "world").mkdir()
    return tmp_path / "world"


def single(kind: str, folder: Path) -> type[Any]:
    write_file(folder / "plugins/mine.py", render_file(named("mine", {}), kind))
    return load_classes(["mine"], plugin_dir=folder / "plugins")["mine"].cls


async def test_a_provisioner_in_one_file(tmp_path: Path, world: Path) -> None:
    cls = single("provisioner", tmp_path)
    await check_provisioner(cls, settings=f'[plugins.mine]\nfolder = "{world}"\n')


async def test_a_source_in_one_file(tmp_path: Path, world: Path) -> None:
    numbers = itertools.count(1)

    async def send(profile: str) -> None:
        await trio.Path(world, f"{profile}.{next(numbers)}.job").touch()

    cls = single("source", tmp_path)
    settings = f'[plugins.mine]\nfolder = "{world}"\ninterval = "50ms"\n'
    await check_source(cls, settings=settings, send=send)


async def test_a_registration_that_goes_while_all_are_listed_is_gone(world: Path) -> None:
    source = files("scaler.scaffold") / "templates/source/backend.py.tmpl"
    backend: dict[str, Any] = {}
    exec(compile(source.read_text(), "backend.py", "exec"), backend)
    (world / "linux.1@here").write_text("idle")
    (world / "linux.2@here").symlink_to("gone")
    assert await backend["registered"](world) == {"linux.1@here": "idle"}


async def test_a_selector_in_one_file(tmp_path: Path) -> None:
    allowed = SelectionRequest(unique_id="one", qualified_repo="acme/web", run_id="7")
    await check_selector(
        single("selector", tmp_path),
        settings='[plugins.mine]\nallowed = { "acme/web" = "linux" }\n',
        allowed=allowed,
        refused=[SelectionRequest(unique_id="one", qualified_repo="evil/web", run_id="7")],
    )


async def test_a_panel_in_one_file(tmp_path: Path) -> None:
    await check_panel(single("panel", tmp_path), settings="[plugins.mine]\n")
