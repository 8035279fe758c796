"""The provisioner in one file: it keeps every promise, and a job goes through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scaler.loading import load_classes
from scaler.testing import check_provisioner

pytestmark = pytest.mark.authors

FOLDER = Path(__file__).parents[2] / "docs/examples"


@pytest.fixture
def processes() -> Any:
    """The class, as a site gets it that names the folder by `plugin_dir`."""
    return load_classes(["processes"], plugin_dir=FOLDER)["processes"].cls


async def test_it_keeps_what_provisioners_promise(processes: Any) -> None:
    await check_provisioner(processes)
