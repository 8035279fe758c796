"""The dashboard in a real browser: what is seen, and that it is seen without being loaded again."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from axe_core_python.selenium import Axe
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from tests.browser import scenes
from tests.browser.eyes import Eyes
from tests.browser.monitor import Served

from scaler import RunnerState

BOTH = pytest.mark.parametrize("scheme", ["light", "dark"])
WIDTHS = pytest.mark.parametrize("width", [400, 1600])


def test_it_loads_and_asks_nobody_else(eyes: Eyes) -> None:
    eyes.open()
    eyes.live()
    assert eyes.text(".sentence") == "All is well: 3 profiles at target, nothing waits"
    assert eyes.driver.title == "well · host-1 · scaler"
    time.sleep(1)
    asked = eyes.asked()
    assert f"{eyes.url}events" in asked
    assert [each for each in asked if not each.startswith(eyes.url)] == []


@BOTH
@WIDTHS
@pytest.mark.parametrize("scene", ["calm", "held", "failing"])
def test_nothing_sticks_out(
    eyes: Eyes, served: Served, width: int, scheme: str, scene: str, tmp_path: Path
) -> None:
    served.world.show(getattr(scenes, scene)())
    eyes.look(width, scheme)
    eyes.open()
    eyes.live()
    wide, seen = eyes.run(
        "const it = document.documentElement; return [it.scrollWidth, it.clientWidth]"
    )
    assert seen == width
    assert wide <= seen
    out = eyes.run(
        "return [...document.querySelectorAll('main *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
    )
    assert out == []
    ground = eyes.run("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(244, 245, 247)", "dark": "rgb(13, 17, 23)"}[scheme]
    (tmp_path / "seen.png").write_bytes(eyes.whole())


def test_long_names_do_not_stick_out_either(eyes: Eyes, served: Served) -> None:
    name = "refs/heads/" + "x" * 300
    job = scenes.job(99, "linux", name, f"acme/{'y' * 100}", state="assigned", queued=scenes.NOW)
    served.world.change(jobs=(job,), waiting={("linux", "99"): "z" * 250})
    eyes.look(400, "light")
    eyes.open()
    eyes.until(lambda: name in eyes.text("#waiting"), "the job")
    assert eyes.run("return document.documentElement.scrollWidth") <= 400


def test_a_change_is_seen_without_loading_again(eyes: Eyes, served: Served) -> None:
    eyes.open()
    eyes.live()
    eyes.run("window.stays = true")
    row = "[data-key=runner-19]"
    assert "idle" in eyes.text(row)
    changed = tuple(
        replace(each, state=RunnerState.BUSY, since=scenes.NOW, job="41") if each.id == 19 else each
        for each in served.world.now.runners
    )
    began = time.monotonic()
    served.world.change(runners=changed)
    eyes.until(lambda: "busy" in eyes.text(row), "the runner is busy")
    assert time.monotonic() - began < 4
    served.world.show(scenes.held())
    eyes.until(lambda: eyes.text(".sentence").startswith("Not well: linux: 4 jobs"), "it is told")
    assert eyes.driver.title == "NOT WELL · host-1 · scaler"
    assert eyes.run("return document.getElementById('icon').href").endswith("assets/bad.svg")
    served.world.show(scenes.calm(), runners=())
    eyes.until(lambda: "There is none." in eyes.text("#runners"), "no runner is left")
    assert eyes.run("return window.stays") is True


def test_what_the_reader_did_stays(eyes: Eyes, served: Served) -> None:
    eyes.look(1600, "light", height=600)
    eyes.open()
    eyes.live()
    eyes.driver.find_element(By.CSS_SELECTOR, "#panel-libvirt summary").click()
    eyes.run("document.querySelector('[data-key=runner-17] a').focus()")
    eyes.run("scrollTo(0, 300)")
    eyes.run("getSelection().selectAllChildren(document.querySelector('[data-key=runner-18] th'))")
    more = scenes.runner(30, "linux", RunnerState.HELD, 5)
    served.world.change(runners=(*served.world.now.runners, more))
    panel = scenes.PANELS["libvirt"]
    assert panel is not None
    served.world.panel["libvirt"] = replace(panel, data={"generation": 8})
    eyes.until(lambda: "linux.30" in eyes.text("#runners"), "another row")
    assert eyes.run("return document.getElementById('panel-libvirt').open")
    focused = "return document.activeElement.closest('tr').dataset.key"
    assert eyes.run(focused) == "runner-17"
    assert eyes.run("return String(getSelection()).trim()") == "linux.18"
    assert eyes.run("return scrollY") >= 300


def test_what_is_held_says_how_long_it_still_is(eyes: Eyes, served: Served) -> None:
    scene = scenes.held()
    last = replace(scene.runners[-1], until=time.time() + 1439)
    served.world.show(scene, runners=(*scene.runners[:-1], last))
    eyes.open()
    eyes.live()
    assert "held for a person until " in eyes.text("[data-key=runner-15]")
    assert " UTC, in 23 min" in eyes.text("[data-key=runner-15]")
    kept = "kept: reason.txt, events.txt, screenshot.png, serial.log"
    assert kept in eyes.text("[data-key=failed-8]")
    soon = replace(last, until=time.time() + 62)
    served.world.change(runners=(*served.world.now.runners[:-1], soon))
    left = "[data-key=runner-15] .is-note time"
    eyes.until(lambda: eyes.text(left).startswith("in 1 min"), "it ends soon")
    eyes.until(lambda: re.fullmatch(r"in 5\d s", eyes.text(left)), "it goes on")


def test_ages_go_on(eyes: Eyes) -> None:
    eyes.open()
    eyes.live()
    age = "[data-key=runner-20] .age time"
    before = eyes.text(age)
    assert before.endswith(" s")
    eyes.until(lambda: eyes.text(age) != before, "it is older now", 3)


def test_a_picture_of_a_screen_is_shown_and_leads_to_the_whole(eyes: Eyes, served: Served) -> None:
    eyes.open()
    eyes.live()
    image = "[data-key=runner-17] img"
    width = f"return document.querySelector('{image}').naturalWidth"
    eyes.until(lambda: eyes.run(width) == 320, "the picture is loaded")
    link = eyes.driver.find_element(By.CSS_SELECTOR, "[data-key=runner-17] .shot")
    assert "screenshot.png" in (link.get_attribute("href") or "")
    served.world.pictures[17] = scenes.picture(5)
    served.world.change()
    source = f"return document.querySelector('{image}').src"
    eyes.until(lambda: eyes.run(source).endswith("?v=picture-5"), "the next picture")
    eyes.meant = ["screenshot.png"]  # Chromium's own style for a picture, which the policy refuses
    eyes.driver.get(link.get_attribute("href") or "")
    assert eyes.run("return document.images[0].naturalWidth") == 320


def test_every_link_is_reached_by_keyboard_and_is_seen_then(eyes: Eyes, served: Served) -> None:
    served.world.show(scenes.held())
    eyes.open()
    eyes.live()
    wanted = eyes.run(
        "return [...document.querySelectorAll('a[href], summary')]"
        ".filter(e => e.checkVisibility()).map(e => e.href || e.textContent.trim())"
    )
    got = []
    for _ in range(len(wanted)):
        ActionChains(eyes.driver).send_keys(Keys.TAB).perform()
        name, line, shown = eyes.run(
            "const e = document.activeElement, box = e.getBoundingClientRect();"
            "return [e.href || e.textContent.trim(), getComputedStyle(e).outlineStyle,"
            " box.right > 0 && box.bottom > 0 && box.top < innerHeight]"
        )
        assert line == "solid", name
        assert shown, name
        got.append(name)
    assert got == wanted
    assert len(got) > 12


@BOTH
@WIDTHS
@pytest.mark.parametrize("scene", ["held", "failing"])
def test_axe_finds_nothing(eyes: Eyes, served: Served, width: int, scheme: str, scene: str) -> None:
    served.world.show(getattr(scenes, scene)())
    served.world.panel["bench"] = None
    eyes.look(width, scheme)
    eyes.open()
    eyes.live()
    for summary in eyes.driver.find_elements(By.CSS_SELECTOR, "details:not([open]) summary"):
        summary.click()
    found = Axe().run(eyes.driver)["violations"]
    told = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found]
    assert told == []
    assert eyes.run("return document.querySelectorAll('main, header, footer, h1').length") == 4


def test_nothing_moves_where_that_is_not_wanted(eyes: Eyes) -> None:
    eyes.open()
    assert eyes.run("return getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    eyes.look(1600, "light", motion="no-preference")
    assert eyes.run("return getComputedStyle(document.documentElement).scrollBehavior") == "smooth"
