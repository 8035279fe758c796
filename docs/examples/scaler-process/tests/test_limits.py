"""Limits bite, and only the job."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scaler import Duration, Size
from scaler_process.settings import Limits

from .conftest import PYTHON, Place


@pytest.mark.parametrize(
    ("limits", "script", "why"),
    [
        ({"memory": Size.parse("100M")}, "bytearray(200 << 20)", "exit code 1"),
        ({"memory": Size.parse("100M")}, "bytearray(20 << 20)", "exit code 0"),
        ({"cpu_time": Duration(1)}, "while True: pass", "killed by SIGKILL"),
        ({"open_files": 16}, "[open('/dev/null') for _ in range(20)]", "exit code 1"),
        (
            {"file_size": Size.parse("1M")},
            "open('large', 'wb').write(bytes(2 << 20))",
            "killed by SIGXFSZ",
        ),
    ],
    ids=["memory", "within-memory", "cpu_time", "open_files", "file_size"],
)
async def test_a_limit_ends_what_breaks_it(
    place: Any, limits: dict[str, Any], script: str, why: str
) -> None:
    if "SIGXFSZ" in why:
        script = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); {script}"
    async with place.scaler(PYTHON, "-c", script, limits=Limits(**limits)) as here:
        await here.provision()
        assert (await here.ended()).why == f"its command ended: {why}"


async def test_what_a_command_says_is_bounded(place: Any) -> None:
    script = "import sys\nfor n in range(60): sys.stdout.write(f'{n:02}' * (1 << 15))"
    async with place.scaler(PYTHON, "-c", script) as here:
        await here.provision()
        await here.ended()
        assert sum(path.stat().st_size for path in place.files()) < 1 << 21
        await here.destroy(failed=True)
        (kept,) = here.context.memory.kept.values()
        assert 1 << 19 <= len(kept) <= 1 << 20
        assert kept.endswith(b"59" * 1000)


async def test_it_is_as_nice_as_it_is_told(place: Any) -> None:
    script = "import os; print(os.nice(0))"
    before = os.nice(0)
    async with place.scaler(PYTHON, "-c", script, nice=7) as here:
        await here.provision()
        await here.ended()
        log = place.base / "linux.1@here" / "output.log"
        assert log.read_text() == f"{before + 7}\n"
    assert os.nice(0) == before


@pytest.fixture
def open_place() -> Iterator[Place]:
    """A machine that an ordinary user may enter."""
    with tempfile.TemporaryDirectory(prefix="scaler-process-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = Place(folder)
        made.base.mkdir()
        made.base.chmod(0o711)
        yield made
        made.clear()


AS_USER = """
echo $(id -u) $(ls) $USER; touch mine
for what in "ls .." "cat ../machine.json" "ls ../.."; do
    $what >/dev/null 2>&1 && echo may || echo may not
done
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
async def test_a_user_gets_its_own_copy_and_sees_nothing_beside_it(open_place: Place) -> None:
    source = open_place.folder / "unpacked"
    source.mkdir()
    (source / "file").write_text("x")
    async with open_place.scaler("sh", "-c", AS_USER, user="nobody", runner_dir=source) as here:
        await here.provision()
        await here.ended()
        folder = open_place.base / "linux.1@here"
        said = (folder / "output.log").read_text()
        assert said == "65534 file nobody\nmay not\nmay not\nmay not\n"
        assert (folder / "files/file").stat().st_uid == 65534
        await here.destroy()
    assert list(open_place.base.iterdir()) == []


FORKS = "for n in $(seq 60); do sleep 600 & done; echo all were made"


@pytest.mark.skipif(os.geteuid() != 0, reason="nothing keeps root within it, and only root can try")
async def test_processes_are_bounded_for_an_ordinary_user(open_place: Place) -> None:
    """A user of its own would do: here it is one of a number that nobody has."""
    limits = Limits(processes=40)
    async with open_place.scaler("sh", "-c", FORKS, user="nobody", limits=limits) as here:
        await here.provision()
        assert (await here.ended()).why == "its command ended: exit code 2"
        log = open_place.base / "linux.1@here" / "output.log"
        assert "all were made" not in log.read_text()
        await here.destroy()
    assert open_place.running() == 0
