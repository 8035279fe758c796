"""What the scenarios share. Without a libvirtd none of them means anything, so all of them fail."""

from __future__ import annotations

import pytest

from scaler_libvirt.testing import NO_LIBVIRTD


@pytest.fixture(autouse=True)
def libvirtd_is_here() -> None:
    if NO_LIBVIRTD:
        pytest.fail(NO_LIBVIRTD, pytrace=False)
