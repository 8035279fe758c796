"""A runner's life, also over the death of whoever made it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler import NoRoom, Unavailable
from scaler_process.files import MARKER
from scaler_process.proc import runners

from .conftest import PYTHON, SECRET, command_line, environment, registration, runner, runs, until


async def test_it_runs_in_a_copy_and_goes_with_it(place: Any, tmp_path: Path) -> None:
    source = tmp_path / "unpacked"
    (source / "bin").mkdir(parents=True)
    (source / "bin/run.sh").write_text("#!/bin/sh\necho changed > bin/file\nexec sleep 600\n")
    (source / "bin/run.sh").chmod(0o755)
    (source / "bin/file").write_text("as it was")
    (source / "link").symlink_to("bin/file")
    async with place.scaler("bin/run.sh", runner_dir=source) as here:
        machine = await here.provision()
        copy = place.base / "linux.1@here" / "files"
        await until(lambda: (copy / "link").is_symlink())
        await until(lambda: (copy / "bin/file").read_text() == "changed\n")
        assert (source / "bin/file").read_text() == "as it was"
        assert await here.plugin.list_machines() == [machine]
        await here.destroy()
        assert await here.plugin.list_machines() == []
    assert list(place.base.iterdir()) == []


async def test_asked_for_many_times_at_once_there_is_one(place: Any) -> None:
    async with place.scaler() as here:
        made = []

        async def ask() -> None:
            made.append(await here.provision())

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        assert len(made) == 5
        assert len({machine.id for machine in made}) == 1
        await until(lambda: place.running() == 2)  # the keeper, the command


async def test_the_end_of_its_command_is_told_with_the_reason(place: Any) -> None:
    async with place.scaler("sh", "-c", "exit 3") as here:
        made = await here.provision()
        told = await here.ended()
        assert (told.id, told.why) == (made.id, "its command ended: exit code 3")
        assert await here.plugin.list_machines() == [told]
        assert await here.provision() == told  # the same id: the same machine, which has ended
        await here.destroy()
        await here.destroy()
        assert await here.plugin.list_machines() == []


async def test_its_command_killed_is_told(place: Any) -> None:
    async with place.scaler() as here:
        await here.provision()
        await until(lambda: place.running() == 2)
        _, command = place.processes()
        os.kill(command.pid, signal.SIGKILL)
        assert (await here.ended()).why == "its command ended: killed by SIGKILL"


async def test_its_keeper_killed_takes_all_with_it(place: Any) -> None:
    async with place.scaler("sh", "-c", "setsid sleep 600 & exec sleep 600") as here:
        await here.provision()
        await until(lambda: place.running() == 3)
        os.kill(place.processes()[0].pid, signal.SIGKILL)
        assert "killed" in (await here.ended()).why
        assert place.running() == 0


async def test_the_next_scaler_adopts_it_and_tells_its_end(place: Any, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"while ! test -e {go}; do sleep 0.05; done"
    async with place.scaler("sh", "-c", script) as first:
        made = await first.provision()
    async with place.scaler("sh", "-c", script) as second:
        assert await second.plugin.list_machines() == [made]
        assert await second.provision() == made
        go.touch()
        told = await second.ended()
        assert (told.id, told.why) == (made.id, "its command ended: exit code 0")


async def test_what_ended_meanwhile_is_listed_with_its_reason(place: Any) -> None:
    async with place.scaler("false") as first:
        made = await first.provision()
    await until(lambda: place.running() == 0)
    async with place.scaler("false") as second:
        (listed,) = await second.plugin.list_machines()
        assert (listed.id, listed.state) == (made.id, "stopped")
        assert listed.why == "its command ended: exit code 1"
        await second.destroy()


@pytest.mark.parametrize("marked", [False, True])
async def test_what_a_crash_left_half_made_is_listed_and_goes_or_begins(
    place: Any, marked: bool
) -> None:
    """Between the folder and the marker, and between the marker and the process."""
    for number in (1, 2):
        folder = place.base / f"linux.{number}@here"
        folder.mkdir()
        if marked:
            (folder / MARKER).write_text(f'{{"tag": "left-{folder.parent.parent}-{number}"}}')
    async with place.scaler() as here:
        listed = await here.plugin.list_machines()
        assert [(each.runner, each.state) for each in listed] == [(1, "stopped"), (2, "stopped")]
        assert {each.why for each in listed} == {"scaler ended before it was started"}
        await here.destroy(1)
        made = await here.provision(2)
        assert await here.plugin.list_machines() == [made]
        assert made.state == "running"
        await here.destroy(2)
    assert list(place.base.iterdir()) == []


async def test_a_removal_that_was_broken_off_is_gone_on_with(place: Any) -> None:
    async with place.scaler() as here:
        await here.provision()
        tag = (await here.plugin.list_machines())[0].id
        await until(lambda: place.running() == 2)
        for process in place.processes():
            os.kill(process.pid, signal.SIGKILL)
        await until(lambda: tag not in runners())
        (place.base / "linux.1@here" / MARKER).unlink()  # as removal may have done
        assert [each.runner for each in await here.plugin.list_machines()] == [1]
        await here.destroy()
    assert list(place.base.iterdir()) == []


async def test_another_scalers_runner_of_the_same_id_is_left_alone(place: Any) -> None:
    async with place.scaler() as here, place.scaler(name="there") as there:
        mine, theirs = await here.provision(), await there.provision()
        assert await here.plugin.list_machines() == [mine]
        await here.destroy()
        assert await there.plugin.list_machines() == [theirs]
        assert place.running() >= 1


async def test_no_more_than_the_most_and_the_room_says_so(place: Any) -> None:
    async with place.scaler(most=2) as here:
        (room,) = await here.plugin.capacity()
        assert room.refuses == {}
        outcomes = []

        async def one(number: int) -> None:
            try:
                outcomes.append(await here.provision(number))
            except NoRoom as error:
                outcomes.append(str(error))

        async with trio.open_nursery() as nursery:
            for number in range(1, 6):
                nursery.start_soon(one, number)
        assert outcomes.count("there are 2 runners here, which is the most") == 3
        assert len(await here.plugin.list_machines()) == 2
        (room,) = await here.plugin.capacity()
        assert room.refuses == {"linux": "there are 2 runners here, which is the most"}
        for number in range(1, 6):
            await here.destroy(number)
        (room,) = await here.plugin.capacity()
        assert room.refuses == {}
        assert here.context.core.messages == []


async def test_what_a_failed_runner_said_is_kept_without_its_secret(place: Any) -> None:
    script = (
        "import os, sys, time\n"
        "secret = os.environ['ACTIONS_RUNNER_INPUT_JITCONFIG']\n"
        "print('the config is', secret, flush=True)\n"
        "sys.stdout.write(secret[:9]); sys.stdout.flush(); time.sleep(0.1)\n"
        "print(secret[9:], 'in two pieces', flush=True)\n"
        "sys.exit(7)\n"
    )
    async with place.scaler(PYTHON, "-c", script) as here:
        await here.provision()
        await here.ended()
        assert not any(SECRET.encode() in path.read_bytes() for path in place.files())
        await here.destroy(failed=True)
        assert here.context.memory.kept == {
            (1, "output.log"): b"the config is ***\n*** in two pieces\n"
        }


def begun(place: Any) -> bool:
    """Whether the command is there: before that its process is the keeper's twin."""
    return "ACTIONS_RUNNER_INPUT_JITCONFIG" in environment(place.processes()[1].pid)


async def test_the_secret_is_on_no_command_line_and_not_in_the_keepers_environment(
    place: Any,
) -> None:
    async with place.scaler() as here:
        await here.provision()
        await until(lambda: place.running() == 2 and begun(place))
        keeper, command = place.processes()
        for process in (keeper, command):
            assert SECRET not in command_line(process.pid)
        assert SECRET not in environment(keeper.pid).values()
        assert environment(command.pid)["ACTIONS_RUNNER_INPUT_JITCONFIG"] == SECRET


async def test_nothing_of_scalers_own_environment_is_passed_on(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    async with place.scaler(environment={"COLOUR": "blue"}) as here:
        await here.provision()
        await until(lambda: place.running() == 2 and begun(place))
        keeper, command = place.processes()
        home = place.base / "linux.1@here" / "files"
        given = environment(command.pid)
        assert environment(keeper.pid) == {"SCALER_PROCESS": given.pop("SCALER_PROCESS")}
        assert given == {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "COLOUR": "blue",
            "HOME": str(home),
            "TMPDIR": str(home.parent / "tmp"),
            "ACTIONS_RUNNER_INPUT_JITCONFIG": SECRET,
        }
        assert os.readlink(f"/proc/{command.pid}/cwd") == str(home)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("no-such-program", "no-such-program could not be run: [Errno 2]"),
        ("./no such", "'./no such' could not be run: [Errno 2]"),
    ],
)
async def test_a_command_that_is_not_there_is_told(place: Any, command: str, why: str) -> None:
    async with place.scaler(command) as here:
        await here.provision()
        assert (await here.ended()).why.startswith(why)


async def test_a_runner_dir_that_is_not_there_is_told(place: Any, tmp_path: Path) -> None:
    async with place.scaler("true", runner_dir=tmp_path / "gone") as here:
        await here.provision()
        assert "gone could not be copied: exit code 1" in (await here.ended()).why
        await here.destroy(failed=True)
        assert b"No such file" in here.context.memory.kept[1, "output.log"]


async def test_a_user_that_is_not_there_is_told(place: Any) -> None:
    async with place.scaler(user="no-such-user") as here:
        with pytest.raises(Unavailable, match="no user 'no-such-user'"):
            await here.provision()
        await here.destroy()


async def test_a_folder_that_was_taken_away_ends_its_processes(place: Any) -> None:
    async with place.scaler() as here:
        await here.provision()
        await until(lambda: place.running() == 2)
        there = place.processes()
        (place.base / "linux.1@here" / MARKER).unlink()
        await until(lambda: not any(runs(process) for process in there))


async def test_a_call_that_is_cancelled_leaves_nothing_that_destroy_does_not_find(
    place: Any,
) -> None:
    async with place.scaler() as here:
        for number in range(1, 9):
            with trio.move_on_after(0.01 * number):
                made = runner(number)
                await here.plugin.provision_runner(made, registration(made))
            await here.destroy(number)
        assert await here.plugin.list_machines() == []
        assert place.running() == 0
    assert list(place.base.iterdir()) == []


async def test_a_name_that_leads_elsewhere_is_refused(place: Any) -> None:
    async with place.scaler() as here:
        for name in ("../linux.1@here", "linux.2@here", "linux.1@there", "linux.1@here\n"):
            made = runner(1)
            with pytest.raises(ValueError, match="is no name of here's runner 1"):
                await here.plugin.provision_runner(
                    type(made)(id=1, name=name, profile="linux", state=made.state),
                    registration(made),
                )
        assert list(place.base.iterdir()) == []
