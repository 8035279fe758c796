"""What people want: files that appear whole, and everything else that may lie there."""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.images.requests import LARGEST, MOST, Answer, Box, NoWishError, Wish, parse


def wish(number: int = 1, **more: Any) -> Wish:
    fields: dict[str, Any] = {"action": "rebuild", "profile": "linux", **more}
    return Wish(id=f"{number:032x}", **fields)


def text(**more: Any) -> dict[str, Any]:
    return {"id": f"{1:032x}", "action": "rebuild", "profile": "linux", "host": "", **more}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    found = Box(tmp_path / "images")
    found.make()
    return found


def test_a_wish_is_read_until_it_is_carried_out(box: Box, tmp_path: Path) -> None:
    box.put(wish(2, action="back", host="vm1"))
    for _ in range(2):
        assert box.wishes() == ([wish(2, action="back", host="vm1")], [])
    assert box.answer(wish(2)) is None
    box.done(wish(2), Answer(ok=True, lines=("done",)))
    assert box.wishes() == ([], [])
    assert box.answer(wish(2)) == Answer(ok=True, lines=("done",))
    assert box.answer(wish(2)) is None  # it is fetched once
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == []
    folders = [tmp_path / "images", *(tmp_path / "images").iterdir()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_wishes_are_carried_out_in_their_order(box: Box) -> None:
    for number in (3, 1, 2):
        box.put(wish(number))
        time.sleep(0.01)
    assert [each.id for each in box.wishes()[0]] == [f"{number:032x}" for number in (3, 1, 2)]


def hostile(folder: Path) -> dict[str, str]:
    """Files that are no wishes, and a part of what is said of each."""
    named = folder / f"{1:032x}.json"
    (folder / "a link.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / "a pipe.json")
    (folder / "a folder.json").mkdir()
    (folder / "large.json").write_bytes(b" " * (LARGEST + 1))
    (folder / "half.json").write_text(json.dumps(text())[:-7])
    (folder / "nested.json").write_text("[" * 4000)
    (folder / "unreadable\x1b[31m.json").write_bytes(b"\xff\xfe")
    (folder / "another name.json").write_text(json.dumps(text()))
    named.write_text(json.dumps(text(action="destroy")))
    (folder / ".passing.json.1").write_text("being written")
    return {
        "a link": "Too many levels",
        "a pipe": "not a file",
        "a folder": "not a file",
        "large": "more than",
        "half": "not JSON",
        "nested": "not JSON",
        "unreadable": "not JSON",
        "another name": "its name is not its id",
        named.stem: "wanted rebuild or back",
    }


def test_d22_what_is_no_wish_is_left_alone_with_one_line_each(box: Box, tmp_path: Path) -> None:
    folder = tmp_path / "images" / "requests"
    expected = hostile(folder)
    box.put(wish(7))
    wishes, troubles = box.wishes()
    assert wishes == [wish(7)]
    assert len(troubles) == len(expected)
    for name, why in expected.items():
        assert [line for line in troubles if name in line and why in line], (name, troubles)
    assert box.wishes() == ([wish(7)], [])  # each is told once
    assert len(list(folder.iterdir())) == len(expected) + 2


def test_a_thousand_files_do_not_hide_a_wish(box: Box, tmp_path: Path) -> None:
    for number in range(5 * MOST):
        (tmp_path / "images" / "requests" / f"{number}.junk").write_text("")
    box.put(wish(7))
    assert box.wishes()[0] == [wish(7)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@given(key=st.sampled_from(["id", "action", "profile", "host", "more"]), value=JSON)
def test_a_wish_is_read_strictly(key: str, value: Any) -> None:
    raw = text(**{key: value})
    try:
        found = parse(json.dumps(raw).encode())
    except NoWishError:
        return
    assert {each: getattr(found, each) for each in raw} == raw
    assert key != "more"


@given(content=st.binary(max_size=200))
def test_bytes_are_no_wish(content: bytes) -> None:
    with pytest.raises(NoWishError):
        parse(content)


def test_who_serves_is_known_and_there_is_one(box: Box) -> None:
    assert not box.served()
    lock = box.serve()
    assert box.served()
    with pytest.raises(BlockingIOError):
        box.serve()
    lock.close()
    assert not box.served()
    lock = box.serve()
    assert box.served()
    del lock  # as that of a thread that nobody waited for
    assert not box.served()


def test_what_nobody_fetched_is_cleared_away(box: Box, tmp_path: Path) -> None:
    box.done(wish(1), Answer(ok=True, lines=()))
    box.put(wish(2))
    passing = tmp_path / "images" / "requests" / ".half"
    passing.write_text("")
    for path in (tmp_path / "images").rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    box.clear()
    assert box.answer(wish(1)) is None
    assert not passing.exists()
    assert box.wishes()[0] == [wish(2)]  # a wish waits, however long


async def test_the_service_carries_out_and_answers(
    lab: Any, autojump_clock: Any, guests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host, core = lab.host, lab.core
    scaler, box = lab.scaler(core, host), Box(core.folder / "images")
    box.make()
    box.put(wish(11))  # while it does not run
    hostile(core.folder / "images" / "requests")
    async with guests(host), scaler.running() as images:

        async def ask(what: Wish) -> Any:
            box.put(what)
            with trio.fail_after(30):
                while (answer := box.answer(what)) is None:  # noqa: ASYNC110 - it is a file
                    await trio.sleep(1)
            return answer

        await scaler.until(lambda: scaler.state().live)
        assert box.served()
        assert box.answer(wish(11)) is not None
        built = len(host.made)
        answer = await ask(wish(2))
        assert answer == Answer(ok=True, lines=("vm1: another image is going to be built",))
        await scaler.until(lambda: scaler.state().live.number == 2)
        assert len(host.made) == built + 2

        answer = await ask(wish(3, action="back"))
        assert answer.lines == ("vm1: image 1 is in use again, until another is asked for",)
        assert images.base("vm1", "linux").image == host.image(1)
        answer = await ask(wish(4, action="back"))
        assert answer == Answer(ok=False, lines=("vm1: there is no older image to go back to",))
        assert (await ask(wish(5, profile="other"))).ok is False
        assert (await ask(wish(6, host="vm9"))).lines == ("there is no host 'vm9', only vm1",)

        await trio.sleep(10)
        status = box.status()
        assert status["images"][0]["live"]["number"] == 1
        assert status["images"][0]["held"] is True
        assert "someone went back to it" in status["images"][0]["text"]
    assert not box.served()
    lines = [each for each in caplog.records if "is no request" in each.getMessage()]
    assert len(lines) == 9
    assert all(each.levelno == logging.WARNING for each in lines)


async def test_the_way_back_gives_up_what_is_being_built(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    host, core = lab.host, lab.cores(linux=lab.recipe(base_image_max_age=lab.seconds("1h")))
    scaler, box = lab.scaler(core, host), Box(core.folder / "images")
    async with guests(host), scaler.running():
        await scaler.until(lambda: scaler.state().live and scaler.state().live.number == 2)
        host.script = lab.hangs
        await scaler.until(lambda: host.machines and scaler.state().building)
        box.put(wish(1, action="back"))
        await scaler.until(lambda: scaler.state().live.number == 1, within=10)
        await scaler.until(lambda: not host.machines, within=60)
        await trio.sleep(7200)
        assert scaler.state().building is None  # held
        assert set(host.volumes) == {host.image(1)}


async def test_a_wish_that_cannot_be_written_down_waits(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    scaler, box = lab.scaler(lab.core, lab.host), Box(lab.core.folder / "images")
    async with guests(lab.host), scaler.running():
        await scaler.until(lambda: scaler.state().live)
        lab.core.full = True
        box.put(wish(1))
        await trio.sleep(60)
        assert box.answer(wish(1)) is None
        lab.core.full = False
        await scaler.until(lambda: scaler.state().live.number == 2, within=600)


async def test_a_folder_that_cannot_be_used_stops_no_image(
    lab: Any, autojump_clock: Any, guests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (lab.core.folder / "images").write_text("in the way")
    scaler = lab.scaler(lab.core, lab.host)
    async with guests(lab.host), scaler.running():
        await scaler.until(lambda: scaler.state().live)
    lines = [each for each in caplog.records if "does not work as it should" in each.getMessage()]
    assert len(lines) == 1
