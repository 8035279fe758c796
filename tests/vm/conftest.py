"""What the tests with real guests share: the guest's image, and a hypervisor that has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.guestimage import GuestImage, build
from tests.vm.lab import Hypervisor, stock
from tests.vm.needs import missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ours = [item for item in items if item.path.is_relative_to(here)]
    why = missing() if ours else ""
    for item in ours:
        if why:
            item.add_marker(pytest.mark.skip(reason=f"no real guests can run here: {why}"))


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> GuestImage:
    """The minimal guest; what Debian has of it is fetched once for a checkout and a worker."""
    assert pytestconfig.cache is not None
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    return build(pytestconfig.cache.mkdir(f"guest-{worker}"))


@pytest.fixture
def hypervisor(image: GuestImage) -> Iterator[Hypervisor]:
    """One hypervisor, with the guest's kernel, initrd and disk in its pool."""
    with Hypervisor() as hypervisor:
        stock(hypervisor, image)
        yield hypervisor
