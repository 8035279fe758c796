"""The pictures of the dashboard in the documentation: `python -m tests.browser.pictures FOLDER`.

From the checkout. pngquant makes them small, where it is installed.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.browser import scenes
from tests.browser.eyes import Eyes, chromium
from tests.browser.monitor import Served, World

from scaler import ProfileView
from scaler_monitor.page import live

PICTURES = {"dashboard-wide": (1600, "light", 1240), "dashboard-narrow": (400, "dark", 1240)}
QUICK = 0.02  # seconds between samples of the history


def main(folder: Path) -> None:
    """Take them."""
    vars(live)["EVERY"] = QUICK
    with tempfile.TemporaryDirectory() as there, Served(Path(there)) as served:
        served.world.pictures.update(scenes.pictures())
        served.world.evidence.update(scenes.evidence())
        past(served.world)
        served.world.show(scenes.held())
        time.sleep(12 * QUICK)
        vars(live)["EVERY"] = 60.0
        driver = chromium(Path(there) / "chromium")
        try:
            eyes = Eyes(driver, served.url)
            for name, (width, scheme, height) in PICTURES.items():
                eyes.look(width, scheme, height=height)
                eyes.open()
                eyes.live()
                time.sleep(2)
                small(folder / f"{name}.png", eyes.whole(height))
        finally:
            driver.quit()


def past(world: World) -> None:
    """Let ten minutes go by, quickly."""
    chance = random.Random(11)
    before = world.now
    busy = {name: each.counts.get("busy", 0) for name, each in before.profiles.items()}
    for _ in range(40):
        for name, each in before.profiles.items():
            step = chance.choice((-1, 0, 0, 0, 1))
            busy[name] = min(max(busy[name] + step, 0), each.target)
        profiles = {name: at(each, busy[name]) for name, each in before.profiles.items()}
        world.show(before, profiles=profiles)
        time.sleep(2 * QUICK)


def at(profile: ProfileView, busy: int) -> ProfileView:
    return replace(profile, counts={"busy": busy, "idle": max(0, profile.target - busy)})


def small(path: Path, png: bytes) -> None:
    if shutil.which("pngquant"):
        command = ["pngquant", "--speed=1", "64", "-"]
        png = subprocess.run(command, input=png, stdout=subprocess.PIPE, check=True).stdout
    path.write_bytes(png)
    print(path, len(png) // 1024, "KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
