"""For all tests: Hypothesis judges what it found, not how busy the machine is.

HYPOTHESIS_PROFILE=few: a fifth of the examples. `make test` says so for all Pythons but the first.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = Path(__file__).parent / "docs/examples"

settings.register_profile("scaler", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("scaler"), max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "scaler")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples' tests, which know nothing of this repository."""
    for item in items:
        if item.path.is_relative_to(EXAMPLES):
            item.add_marker(pytest.mark.authors)


@pytest.fixture(autouse=True)
def _log_levels() -> Iterator[None]:
    """Put back what a test, or a command that it ran in this process, set: others count records."""
    loggers = logging.getLogger(), logging.getLogger("scaler")
    before = [each.level for each in loggers]
    yield
    for each, level in zip(loggers, before, strict=True):
        each.setLevel(level)
