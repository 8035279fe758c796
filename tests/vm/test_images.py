"""Images are built in real guests, tried and used; one that comes to nothing changes nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import trio
from tests.vm.outside import change, command, dashboard, get, held
from tests.vm.site import HOLD, MARKS, MINIMAL, Profile, Site, site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.lab import Hypervisor

    from scaler_github.testing import Job

PNG = b"\x89PNG\r\n"
BUILT = 240.0  # seconds for a build with its trial on a busy machine; alone it takes thirty
HANGS = "45s"  # build_timeout where a build is to run into it; alone it takes ten to begin

# what the builder leaves on its disk, and every guest on that disk runs when it boots
LEFT = """
if [ "$SCALER_ROLE" = builder ]; then
    echo "echo 'its image is {name}'" >/vda/init.d/name
fi
"""
FAILS = """
if [ "$SCALER_ROLE" = builder ]; then
    sleep 5 # for a picture
    echo "scaler: failed: there is no luck"
    exit 1
fi
"""
STAYS = '[ "$SCALER_ROLE" != builder ] || sleep 1000\n'
WAIT = "wait"  # while this mark is there, a builder that is to wait does
WAITS = f'[ "$SCALER_ROLE" != builder ] || while marked {WAIT}; do sleep 1; done\n'

# Old images are looked for once a minute, two minutes after a start at the earliest, and not a
# quarter of an hour after they were last used: too long to wait for.
HURRY = """
from scaler import hookimpl
from scaler_libvirt.images import broom

broom.EVERY, broom.SETTLED, broom.HANDED = 3.0, 3.0, 3.0


class Hurry:
    def __init__(self, context):
        pass

    @hookimpl
    def check(self):
        return []
"""


class Images:
    """What the test sees of a profile's images."""

    def __init__(self, here: Site) -> None:
        self.here = here

    def write(self, before: str, hold: str = HOLD) -> None:
        """Have guests run this first; jobs go on for as long as there is this mark."""
        port = self.here.simulator.origin.rpartition(":")[2]
        text = MARKS.format(port=port) + before + held(hold) + MINIMAL
        (self.here.folder / "linux.sh").write_text(text)

    async def row(self) -> dict[str, Any]:
        """How it is, as the dashboard says: quicker than a command."""
        reports = (await dashboard(self.here))["reports"]
        rows = [row for each in reports for row in each["facts"].get("images", ())]
        return rows[0] if rows else {"live": None, "building": None, "failed": None}

    async def listed(self) -> str:
        """How it is, as `scaler images` says."""
        done = await command(self.here, "images")
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def ask(self, action: str) -> None:
        """`scaler images rebuild|back linux`."""
        done = await command(self.here, "images", action, "linux")
        assert done.returncode == 0, done.stderr

    async def live(self, number: int) -> dict[str, Any]:
        """Wait until this image is the one in use."""
        with trio.fail_after(BUILT):
            while True:
                row = await self.row()
                if row["live"] is not None and row["live"]["number"] == number:
                    return row
                assert row["failed"] is None, row["text"]
                await trio.sleep(0.5)

    async def back(self, number: int) -> dict[str, Any]:
        """Wait until the dashboard says so, too: the command answers a moment earlier."""
        with trio.fail_after(10):
            while True:
                row = await self.row()
                if row["live"]["number"] == number:
                    return row
                await trio.sleep(0.2)

    async def failed(self, number: int) -> dict[str, Any]:
        """Wait until this one has come to nothing."""
        with trio.fail_after(BUILT):
            while True:
                row = await self.row()
                if row["failed"] is not None and row["failed"]["number"] == number:
                    return row
                await trio.sleep(0.5)

    async def builds(self) -> str:
        """Wait until a builder runs its script; its UUID."""
        with trio.fail_after(BUILT):
            while True:
                build = (await self.row())["building"]
                if build is not None and "boot script:" in self.here.log_of(build["machine"]):
                    return str(build["machine"])
                await trio.sleep(0.3)

    def volumes(self) -> dict[int, Path]:
        """The images in the pool, by number."""
        paths = self.here.hypervisor.pool.glob("scaler-*-image-linux-*")
        return {int(path.name.rpartition("-")[2]): path for path in paths}

    async def runner(self) -> tuple[Job, str]:
        """Have a job run; which image its guest found itself on."""
        (job,) = self.here.queue("linux")
        await self.here.until(lambda: job.state == "running")
        (life,) = [
            each
            for each in self.here.running()
            if each.identity is not None and each.identity.runner_name == job.runner_name
        ]
        log = self.here.log_of(life.uuid)
        marks = [line for line in log.splitlines() if line.startswith("its image is ")]
        assert len(marks) == 1, log
        return job, marks[0].removeprefix("its image is ").strip()

    async def kept(self) -> set[str]:
        """What is kept of the last failure, as the dashboard says."""
        return set((await dashboard(self.here))["profiles"]["linux"]["kept"])

    async def screenshot(self) -> bytes:
        """What the dashboard serves as its builder's screen."""
        status, png = await get(self.here, "/profile/linux/screenshot.png")
        assert status == 200, png
        return png


def furnish(here: Site) -> None:
    """Have images built, pictures taken often, and old images looked for often."""
    plugins = here.folder / "plugins"
    plugins.mkdir()
    (plugins / "hurry.py").write_text(HURRY)
    change(here.settings, 'base_image = "guest.raw"', 'source_image = "guest.raw"')
    change(here.settings, "[scaler]\n", '[scaler]\nplugin_dir = "plugins"\n')
    table = '[plugins.hurry]\n[plugins.libvirt]\nscreenshot_interval = "2s"'
    change(here.settings, "[plugins.libvirt]", table)


def builders(here: Site) -> set[str]:
    """The machines that there ever were to build an image."""
    lives = [(life.uuid, life.identity) for life in here.watcher.lives]
    return {uuid for uuid, identity in lives if identity and identity.role == "builder"}


def digest(path: Path) -> tuple[str, int]:
    """What a file holds, and since when."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


async def test_images_from_the_first_build_to_the_way_back(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    source = hypervisor.pool / "guest.raw"
    before = digest(source)
    async with site(hypervisor, tmp_path, Profile(name="linux", libvirt="")) as here:
        furnish(here)
        images = Images(here)
        for mark in ("old", HOLD, WAIT):
            here.mark(mark)

        # the first one: what its builder wrote is there for those who stand on it
        images.write(LEFT.format(name="one"), hold="old")
        await here.start()
        row = await images.live(1)
        assert row["live"]["tried"]
        old_job, name = await images.runner()
        assert name == "one"
        assert digest(source) == before
        first = digest(images.volumes()[1])

        # another, beside a runner that lives on the first
        images.write(LEFT.format(name="two"))
        await images.ask("rebuild")
        row = await images.live(2)
        assert [each["number"] for each in row["older"]] == [1]
        job, name = await images.runner()
        assert name == "two"

        # kill -9 while a third is built: its machine goes on, and so does the build
        images.write(WAITS + LEFT.format(name="three"))
        await images.ask("rebuild")
        builder = await images.builds()
        await here.scalers[-1].kill()
        own = "[profiles.linux.libvirt]\n"
        change(here.settings, own, f'{own}build_timeout = "{HANGS}"\n')
        await here.start()
        here.unmark(WAIT)
        row = await images.live(3)
        assert builder in builders(here)
        assert len(builders(here)) == 3  # so nothing was begun anew
        assert [each["number"] for each in row["older"]] == [2]  # keep_images = 1
        here.unmark(HOLD)
        await here.completed([job])
        assert job.result == "succeeded"

        # one that says that it failed
        images.write(FAILS)
        await images.ask("rebuild")
        row = await images.failed(4)
        assert "it said that it failed: there is no luck" in row["failed"]["why"]
        assert row["live"]["number"] == 3
        assert row["text"] in await images.listed()
        assert {"reason.txt", "serial.log", "screenshot.png"} == await images.kept()
        assert (await images.screenshot()).startswith(PNG)

        # one that never powers off
        images.write(STAYS)
        await images.ask("rebuild")
        await images.builds()
        row = await images.failed(5)
        assert f"did not power itself off within {HANGS}" in row["failed"]["why"].replace(" s", "s")
        assert row["live"]["number"] == 3
        assert {"reason.txt", "serial.log", "screenshot.png"} == await images.kept()
        assert (await images.screenshot()).startswith(PNG)
        images.write("")
        job, name = await images.runner()
        assert name == "three"
        await here.completed([job])

        # nobody needs the first one but the runner that still lives on it
        assert old_job.state == "running"
        assert digest(images.volumes()[1]) == first
        assert images.volumes().keys() == {1, 2, 3}
        here.unmark("old")
        await here.completed([old_job])
        assert old_job.result == "succeeded"
        await here.until(lambda: 1 not in images.volumes())

        # the way back
        await images.ask("back")
        row = await images.back(2)
        assert (row["older"], row["held"]) == ([], True)
        job, name = await images.runner()
        assert name == "two"
        await here.completed([job])
        await here.until(lambda: here.volumes() == {images.volumes()[2].name})
        assert digest(source) == before
        assert await here.scalers[-1].stop() == 0
