"""Builds on a hypervisor that only remembers, over hours that pass at once."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler import NoRoom, Unavailable
from scaler_libvirt.hosts.base import BaseMissingError, NoImage
from scaler_libvirt.settings import ProfileConfig

pytestmark = pytest.mark.once

HOUR = 3600.0
AGE = HOUR  # at which an image is built anew, here


def volumes(host: Any, *numbers: int) -> set[str]:
    return {host.image(number) for number in numbers}


async def test_the_first_image(lab: Any, autojump_clock: Any, guests: Any) -> None:
    scaler, host = lab.scaler(lab.core, lab.host), lab.host
    async with guests(host), scaler.running() as images:
        with pytest.raises(NoImage, match="linux on vm1: "):
            images.base("vm1", "linux")
        await scaler.until(lambda: scaler.state().building)
        assert "its image is being built, since " in images.refusal("vm1", "linux")
        assert images.reserved("vm1") == {"memory": 4}
        await scaler.until(lambda: scaler.state().live)
        assert images.refusal("vm1", "linux") == ""
        base = images.base("vm1", "linux")
        assert (base.path, base.format, base.image) == (host.image(1), "qcow2", host.image(1))
        await scaler.until(lambda: not host.machines)
        assert images.reserved("vm1") == {}
        assert [(box.role, box.base.path) for box in host.made] == [
            ("builder", "/srv/source.qcow2"),
            ("smoke", host.image(1)),
        ]
        assert set(host.volumes) == volumes(host, 1)
        await trio.sleep(1)
        text, ok, facts = lab.core.reports["linux"]
        assert (text.split(" of ")[0], ok) == ("vm1: image 1", True)
        assert facts["image_age"] < 10
        assert lab.core.capacity_changes >= 2
        await trio.sleep(AGE)
        assert len(host.made) == 2  # it is not built again by itself


async def test_other_profiles_are_no_business_of_it(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    default = ProfileConfig().keep_images
    core = lab.cores(plain=lab.recipe(source_image="", keep_images=default))
    scaler = lab.scaler(core, lab.host)
    async with guests(lab.host), scaler.running() as images:
        await trio.sleep(HOUR)
        assert images.refusal("vm1", "plain") == ""
        assert images.reserved("vm1") == {}
    # only looked at, for what a scaler with other settings may have left, and not for long
    assert lab.host.calls == ["left", "images"] * 5
    assert core.reports == {}
    assert not list(core.folder.iterdir())


async def test_a_rebuild_replaces_an_image_while_runners_live(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host = lab.host
    core = lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h"), keep_images=0))
    scaler = lab.scaler(core, host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        host.users.add(images.base("vm1", "linux").image)  # a runner stands on it
        await scaler.until(lambda: scaler.state().building, within=2 * AGE)
        assert images.base("vm1", "linux").image == host.image(1)  # the live one meanwhile
        await scaler.until(lambda: scaler.state().live.number == 2)
        assert images.base("vm1", "linux").image == host.image(2)
        await trio.sleep(1200)
        assert set(host.volumes) == volumes(host, 1, 2)
        host.users.clear()
        await trio.sleep(1200)
        assert set(host.volumes) == volumes(host, 2)


async def test_older_images_are_kept_and_the_rest_is_pruned(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h"), keep_images=2))
    scaler = lab.scaler(core, lab.host)
    async with guests(lab.host), scaler.running():
        await scaler.until(lambda: scaler.state().live and scaler.state().live.number == 5, 9 * AGE)
        await trio.sleep(1200)
        assert set(lab.host.volumes) == volumes(lab.host, 3, 4, 5)


async def test_an_image_that_was_just_handed_out_is_not_pruned(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    """Its machine is still being made: nothing on the host says yet that it is in use."""
    core = lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h"), keep_images=0))
    scaler = lab.scaler(core, lab.host)
    async with guests(lab.host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().building and scaler.state().live, 2 * AGE)
        await scaler.until(lambda: scaler.state().building.stage == "trying")
        images.base("vm1", "linux")
        await trio.sleep(600)
        assert scaler.state().live.number == 2
        assert lab.host.image(1) in lab.host.volumes
        await trio.sleep(600)
        assert lab.host.image(1) not in lab.host.volumes


def ends(*, clean: bool, log: bytes = b"", why: str = "crashed", role: str = "builder") -> Any:
    async def script(host: Any, box: Any) -> None:
        await trio.sleep(30)
        if box.role == role:
            host.end(box, clean=clean, log=log, why=why)
        else:
            word = "built" if box.role == "builder" else "ok"
            host.end(box, clean=True, log=f"scaler: {word} {box.nonce}\n".encode())

    return script


FAILURES = {
    "crash": (ends(clean=False), "its build failed: it did not power itself off: crashed"),
    "said": (
        ends(clean=True, log=b"scaler: failed: no space\r\n"),
        "its build failed: it said that it failed: no space",
    ),
    "smoke": (
        ends(clean=True, role="smoke"),
        "its test failed: it powered itself off and had not shown that it works",
    ),
    "smoke of another": (
        ends(clean=True, role="smoke", log=b"scaler: ok 0123\n"),
        "its test failed: it powered itself off and had not shown that it works",
    ),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_build_that_fails_leaves_the_live_image_and_evidence(
    lab: Any, autojump_clock: Any, guests: Any, kind: str
) -> None:
    script, why = FAILURES[kind]
    host = lab.host
    core = lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h")))
    scaler = lab.scaler(core, host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        host.script = script
        await scaler.until(lambda: scaler.state().failed, 2 * AGE)
        assert images.base("vm1", "linux").image == host.image(1)
        await trio.sleep(300)
        assert scaler.state().failed.why == why
        assert host.machines == {}
        assert set(host.volumes) == volumes(host, 1)
        text, ok, facts = core.reports["linux"]
        assert not ok
        assert why in text
        assert "image 1 of " in text
        assert "next try at " in text
        assert facts["image_age"] > AGE - 1
        reason = core.evidence["linux", "reason.txt"].decode()
        assert "host: vm1\n" in reason
        assert why.split(": ", 1)[1] in reason
        assert core.evidence["linux", "screenshot.png"] == b"LAST"
        host.script = lab.works
        await scaler.until(lambda: scaler.state().live.number > 1, 2 * HOUR)
        await trio.sleep(10)
        assert core.evidence == {}  # it would only mislead
        assert core.reports["linux"][1] is True


async def test_a_builder_that_never_ends_has_its_time(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(build_timeout=lab.seconds("1h")))
    scaler, lab.host.script = lab.scaler(core, lab.host), lab.hangs
    async with guests(lab.host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().failed)
        assert HOUR <= trio.current_time() <= HOUR + 60
        assert "did not power itself off within 3600 s" in scaler.state().failed.why
        assert core.evidence["linux", "screenshot.png"] == b"PNG"  # as it was at that moment
        await trio.sleep(60)
        assert lab.host.machines == {}
        assert "it has no image yet; image 1 at " in images.refusal("vm1", "linux")
        assert len(lab.host.made) == 1
        await trio.sleep(600)
        assert len(lab.host.made) == 2  # and it is tried again


async def test_who_asks_for_its_registration_has_shown_that_it_works(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    async def script(host: Any, box: Any) -> None:
        if box.role == "builder":
            await lab.works(host, box)
        else:
            await trio.sleep(20)
            lab.core.ask(box.uuid)

    scaler, lab.host.script = lab.scaler(lab.core, lab.host), script
    async with guests(lab.host), scaler.running():
        await scaler.until(lambda: scaler.state().live)
        assert scaler.state().live.tried
        await trio.sleep(10)
        assert lab.host.machines == {}  # it is not waited for


async def test_without_a_smoke_test_nobody_tries_it(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(smoke_timeout=lab.seconds("0s")))
    scaler = lab.scaler(core, lab.host)
    async with guests(lab.host), scaler.running():
        await scaler.until(lambda: scaler.state().live)
        assert not scaler.state().live.tried
        assert [box.role for box in lab.host.made] == ["builder"]


async def test_what_cannot_be_made_is_told_and_tried_again_soon(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    host.refuse["make"] = NoRoom("host vm1: …")
    host.refuse["make"].__cause__ = BaseMissingError("there is no /srv/source.qcow2")
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().failed)
        assert "there is no /srv/source.qcow2" in images.refusal("vm1", "linux")
        host.refuse.clear()
        await scaler.until(lambda: scaler.state().live, within=600)


async def test_a_host_without_room_is_tried_again(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    host.refuse["make"] = NoRoom("no memory")
    async with guests(host), scaler.running():
        await trio.sleep(300)
        assert scaler.state().failed is None
        assert "no memory" in lab.core.reports["linux"][0]
        host.refuse.clear()
        await scaler.until(lambda: scaler.state().live, within=600)


async def test_a_full_pool_fails_the_build_and_not_the_live_image(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h")))
    host, scaler = lab.host, lab.scaler(core, lab.host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        host.refuse["flatten"] = NoRoom("no space left in pool default")
        await scaler.until(lambda: scaler.state().failed, 2 * AGE)
        assert "no space left in pool default" in scaler.state().failed.why
        assert images.base("vm1", "linux").image == host.image(1)


@pytest.mark.parametrize("moment", ["building", "trying"])
async def test_a_host_that_is_down_is_unknown_and_not_a_failure(
    lab: Any, autojump_clock: Any, guests: Any, moment: str
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().building)
        await scaler.until(lambda: scaler.state().building.stage == moment)
        host.up = False
        await trio.sleep(5 * HOUR)
        assert (scaler.state().failed, scaler.state().live) == (None, None)
        host.up = True
        images.host_changed("vm1")
        await scaler.until(lambda: scaler.state().live, within=300)


async def test_one_at_a_time_and_other_hosts_at_the_same_time(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(a=lab.recipe(), b=lab.recipe())
    hosts = [lab.hosts("vm1"), lab.hosts("vm2")]
    scaler = lab.scaler(core, *hosts)
    most = 0
    async with guests(*hosts), scaler.running() as images:
        for _ in range(400):
            await trio.sleep(1)
            most = max(most, *(len(host.machines) for host in hosts))
        for host in hosts:
            for profile in "ab":
                assert images.refusal(host.name, profile) == ""
        assert most == 1
        assert trio.current_time() < 500


async def test_it_waits_for_room_and_keeps_it_for_the_first(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    host.left_free = {"memory": 3}
    async with guests(host), scaler.running() as images:
        await trio.sleep(60)
        assert images.reserved("vm1") == {"memory": 4}  # what ends is not replaced by runners
        assert "it waits for room: the host lacks memory" in images.refusal("vm1", "linux")
        assert host.made == []
        host.left_free = {"memory": 4}
        images.host_changed("vm1")
        await scaler.until(lambda: host.made, within=5)


async def test_a_rebuild_lets_runners_go_first_for_ten_minutes(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h")))
    host, scaler = lab.host, lab.scaler(core, lab.host)
    async with guests(host), scaler.running() as images:
        await scaler.until(lambda: scaler.state().live)
        host.left_free = {"memory": 3}
        await scaler.until(lambda: "it waits for room" in core.reports["linux"][0], 2 * AGE)
        assert images.reserved("vm1") == {}
        await trio.sleep(700)
        assert images.reserved("vm1") == {"memory": 4}


async def test_a_host_that_drains_begins_nothing(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    lab.host.draining = True
    scaler = lab.scaler(lab.core, lab.host)
    async with guests(lab.host), scaler.running() as images:
        await trio.sleep(HOUR)
        assert lab.host.made == []
        assert "it is draining" in images.refusal("vm1", "linux")


async def test_a_ledger_that_cannot_be_written_only_delays_it(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    async with guests(host), scaler.running():
        lab.core.full = True
        await trio.sleep(HOUR)
        assert host.made == []  # nothing is done that is not written down
        lab.core.full = False
        await scaler.until(lambda: scaler.state().building)
        lab.core.full = True
        await trio.sleep(HOUR)
        lab.core.full = False
        await scaler.until(lambda: scaler.state().live, within=600)


async def test_the_host_is_asked_again_where_it_did_not_answer(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    async with guests(host), scaler.running():
        for call in ("images", "left", "make", "tail", "flatten"):
            host.refuse = {call: Unavailable("it did not answer")}
            await trio.sleep(200)
        assert scaler.state().failed is None
        host.refuse = {}
        await scaler.until(lambda: scaler.state().live, within=600)
