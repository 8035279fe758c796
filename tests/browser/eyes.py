"""What a person does with a page: looks at it, presses keys, waits for something to be seen."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

PATIENCE = 12.0  # seconds
PROGRAMS = ("chromium", "chromedriver")


def chromium(folder: Path) -> Chrome:
    """A browser that nobody sees, with what it keeps in this folder."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "headless=new",
        "no-sandbox",  # it may have to run as root
        "disable-gpu",
        "disable-dev-shm-usage",
        "hide-scrollbars",
        "no-first-run",
        "disable-background-networking",
        "force-device-scale-factor=1",
        "lang=en-GB",
        f"user-data-dir={folder}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
    driver.set_page_load_timeout(20)
    driver.set_script_timeout(20)
    return driver


class Eyes:
    """A browser with a page.

    Attributes:
        meant: Parts of messages in its console that a test brings about on purpose.
    """

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self.meant: list[str] = []

    def look(self, width: int, scheme: str, *, height: int = 1000, motion: str = "reduce") -> None:
        """A screen so wide, in light or in dark."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.tell("Emulation.setEmulatedMedia", features=features)

    def open(self, path: str = "") -> None:
        """Load a page, and nothing of what was told before it."""
        told(self.driver, "browser")
        told(self.driver, "performance")
        self.driver.get(self.url + path)

    def tell(self, command: str, **values: Any) -> Any:
        """A command of Chromium's own."""
        return self.driver.execute_cdp_cmd(command, values)

    def run(self, script: str, *values: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *values)

    def text(self, selector: str) -> str:
        """The text of the first that matches, as it is seen."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def until(self, seen: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Wait until something is seen."""
        end = time.monotonic() + patience
        while True:
            try:
                if found := seen():
                    return found
            except StaleElementReferenceException:
                pass
            if time.monotonic() > end:
                raise AssertionError(f"not seen: {what}")
            time.sleep(0.05)

    def live(self) -> None:
        """Wait until events come."""
        self.until(lambda: self.text("#live") == "live" and self.parts(), "events")

    def parts(self) -> int:
        """The version of what came last by an event or an answer; 0 before."""
        return int(
            self.run("return Number(document.getElementById('dashboard').dataset.version || 0)")
        )

    def asked(self) -> list[str]:
        """Every address that was asked for since the page was loaded."""
        log = told(self.driver, "performance")
        messages = [json.loads(each["message"])["message"] for each in log]
        return [
            each["params"]["request"]["url"]
            for each in messages
            if each["method"] == "Network.requestWillBeSent"
        ]

    def whole(self, height: int | None = None) -> bytes:
        """A picture of the page, as PNG: of all of it, or of so much from its top."""
        size = self.tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "height": height or size["height"], "scale": 1}
        taken = self.tell("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(taken["data"])


def told(driver: Chrome, log: str) -> list[dict[str, Any]]:
    """What a log of the browser got since it was asked for last."""
    got: list[dict[str, Any]] = driver.get_log(log)  # type: ignore[no-untyped-call]
    return got
