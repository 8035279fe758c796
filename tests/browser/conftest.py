"""Chromium, driven from here, and a Monitor for it to look at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from tests.browser import scenes
from tests.browser.eyes import PROGRAMS, Eyes, chromium, told
from tests.browser.monitor import Served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing and items:
        pytest.exit(f"not found: {', '.join(missing)}; Debian: chromium and chromium-driver", 1)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        served.world.pictures.update(scenes.pictures())
        served.world.evidence.update(scenes.evidence())
        yield served


@pytest.fixture
def eyes(driver: Chrome, served: Served) -> Iterator[Eyes]:
    eyes = Eyes(driver, served.url)
    eyes.look(1600, "light")
    yield eyes
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    driver.get("about:blank")
    serious = [
        each
        for each in told(driver, "browser")
        if each["level"] in ("SEVERE", "WARNING")
        and not any(word in each["message"] for word in eyes.meant)
    ]
    assert not serious, json.dumps(serious, indent=1)
