"""The dashboard where something is in the way: no events, no scripts, no server, hostile texts."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from tests.browser import scenes
from tests.browser.eyes import Eyes
from tests.browser.monitor import Served

from scaler import Kept, Panel, Report, RunnerState

PAYLOADS = (
    '"><script>window.hit = 1; alert(1)</script>',
    '\'><img src=x onerror="window.hit = 1; alert(1)">',
    "<svg onload=window.hit=1>",
    "</script><script>window.hit=1</script>",
)
URLS = (
    "javascript:window.hit=1",
    " javascript:window.hit=1",
    "data:text/html,<script>hit</script>",
)


def test_without_events_it_asks(eyes: Eyes, served: Served) -> None:
    eyes.meant = ["/events", "dashboard.html"]
    eyes.tell("Network.enable")
    eyes.tell("Network.setBlockedURLs", urls=["*/events"])
    eyes.open()
    eyes.until(lambda: eyes.text("#live") == "live, asking", "it says that it asks")
    served.world.show(scenes.held())
    eyes.until(lambda: "linux: 4 jobs wait" in eyes.text(".sentence"), "an update")
    asked = eyes.until(
        lambda: [each for each in eyes.asked() if each.endswith("/dashboard.html")], "it asks again"
    )
    assert asked


def test_what_has_not_changed_is_not_sent_while_it_asks(eyes: Eyes) -> None:
    eyes.meant = ["/events", "dashboard.html"]
    eyes.tell("Network.enable")
    eyes.tell("Network.setBlockedURLs", urls=["*/events"])
    eyes.open()
    eyes.until(lambda: eyes.text("#live") == "live, asking", "it says that it asks")
    told = eyes.run(
        "return performance.getEntriesByType('resource')"
        ".filter(e => e.name.endsWith('dashboard.html')).map(e => e.responseStatus)"
    )
    assert 304 in told


def test_a_server_that_is_gone_is_told_and_one_that_is_back_too(eyes: Eyes, served: Served) -> None:
    eyes.meant = ["/events", "dashboard.html"]
    eyes.open()
    eyes.live()
    served.__exit__()
    eyes.until(lambda: eyes.text("#live").startswith("not live: last update"), "it says so", 20)
    assert "ago" in eyes.text("#live")
    assert eyes.driver.title == "not live · well · host-1 · scaler"
    well = eyes.run("return getComputedStyle(document.querySelector('.verdict')).color")
    assert well == eyes.run("return getComputedStyle(document.querySelector('h1 .quiet')).color")
    with served.again() as back:
        assert back.url == served.url
        eyes.until(lambda: eyes.text("#live").startswith("live"), "it is live again", 40)


def test_without_scripts_all_of_it_is_there(eyes: Eyes, served: Served) -> None:
    served.world.show(scenes.held())
    eyes.tell("Emulation.setScriptExecutionDisabled", value=True)
    eyes.open()
    assert eyes.text(".sentence").startswith("Not well: linux: 4 jobs wait, the longest ")
    assert "does not update by itself" in eyes.text("#live")
    assert "UTC" in eyes.text("#waiting .age")
    assert len(eyes.driver.find_elements(By.CSS_SELECTOR, "#runners tbody tr")) == 8


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("url", URLS)
def test_d24_hostile_texts_do_nothing(eyes: Eyes, served: Served, payload: str, url: str) -> None:
    calm = scenes.calm()
    job = scenes.job(
        77,
        "linux",
        payload,
        payload,
        state="assigned",
        queued=scenes.NOW - 5,
        workflow=payload,
        labels=(payload,),
        url=url,
    )
    facts = {"paused": payload, "domain": payload, "pool": payload, "volumes": [payload]}
    machine = replace(calm.builders[0], runner=17, facts=facts, room=payload)
    runner = replace(
        calm.runners[0],
        reason=payload,
        name=f"{payload}.17@{payload}",
        job="78",
        machine=machine,
        state=RunnerState.HELD,
        until=scenes.NOW + 600,
        failed=True,
        result=payload,
    )
    builder = replace(machine, runner=None, why=payload, facts={**facts, "role": payload})
    room = replace(calm.rooms["libvirt"][0], refuses={"linux": payload, payload: payload})
    image = Report(
        plugin="libvirt",
        profile="windows",
        ok=False,
        text=payload,
        time=scenes.NOW,
        facts={"images": [{"building": {"machine": payload, "began": payload}}]},
    )
    running = replace(job, id="78", state="running")
    told = Report(plugin=payload, profile=payload, ok=False, text=payload, time=scenes.NOW)
    reason = {("linux", "77"): payload}

    def dirty(version: str) -> dict[str, Any]:
        return {
            "jobs": (job, running),
            "runners": (replace(runner, reason=payload + version),),
            "waiting": reason,
            "reports": (*calm.reports, told, image),
            "events": (replace(calm.events[0], text=payload, profile=payload, runner=99),),
            "builders": (builder,),
            "rooms": {payload: (room,)},
        }

    kept = (Kept(name=payload, size=1, time=scenes.NOW),)
    served.world.evidence.update({17: kept, 99: kept, "windows": kept})
    served.world.panel[payload] = Panel(title=payload, data={payload: payload}, html=payload)
    served.world.change(**dirty(" first"))
    eyes.open()
    eyes.live()
    assert payload in eyes.text("#runners"), "in the page as it was loaded"
    served.world.change(**dirty(" second"))
    eyes.until(lambda: f"{payload} second" in eyes.text("#runners"), "in an event as well")
    assert payload in eyes.text("#waiting")
    assert payload in eyes.text("#verdict")
    for part in ("builders", "rooms", "failed", "profiles"):
        assert payload in eyes.text(f"#{part}")
    time.sleep(0.3)
    assert eyes.run("return window.hit") is None
    inside = eyes.run(
        "return [document.querySelectorAll('main script, main iframe, main style').length,"
        " [...document.querySelectorAll('main *')].filter(e => [...e.attributes]"
        ".some(a => a.name.startsWith('on'))).length,"
        " [...document.links].filter(a => !/^https?:$/.test(a.protocol)).length,"
        " [...document.images].filter(i => i.getAttribute('src') === 'x').length]"
    )
    assert inside == [0, 0, 0, 0]


def test_many_runners_are_few_on_the_page(eyes: Eyes, served: Served) -> None:
    many = tuple(scenes.runner(number, "linux", RunnerState.IDLE, 9) for number in range(1, 5001))
    served.world.change(runners=many)
    eyes.open()
    eyes.live()
    assert "4,800 more" in eyes.text("#runners")
    assert len(eyes.driver.find_elements(By.CSS_SELECTOR, "#runners tbody tr")) == 200
