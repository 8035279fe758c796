"""What cloud-init runs in a guest, run here: with other programs' names before their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from tests.machine.conftest import Guest

ROOT = Path(__file__).parents[4]
CLOUD = ROOT / "plugins/scaler-libvirt/src/scaler_libvirt/machine/scripts/cloud.sh"
KEY, CONFIG, NONCE = "k3y-of-the-guest", "eyJjb25maWcifQ==", "n0nce"
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]

DUMP = '#!/bin/sh\nenv >"$SCALER_ROOT/env"\nspy\necho it ran\n'


@pytest.mark.parametrize("shell", SHELLS)
def test_a_runner_runs_its_script_and_powers_off(guest: Guest, shell: str) -> None:
    guest.sow(runner=7)
    guest.answers("boot", 200, DUMP)
    assert guest.run(CLOUD, shell).returncode == 0
    assert guest.done == [f"curl http://10.0.0.1:8000/boot?key={KEY}", "poweroff "]
    assert "it ran" in guest.console.read_text()
    assert guest.said == []
    env = (guest.folder / "env").read_text().splitlines()
    assert {f"SCALER_KEY={KEY}", "SCALER_URL=http://10.0.0.1:8000", "SCALER_RUNNER=7"} <= set(env)
    assert {"SCALER_ROLE=runner", "SCALER_HOLD=", "SCALER_JITCONFIG="} <= set(env)


def test_d27_the_key_is_on_no_command_line(guest: Guest) -> None:
    guest.sow(runner=7)
    guest.answers("boot", 200, DUMP)
    guest.run(CLOUD)
    assert "cloud.sh" in guest.spied.read_text()  # the spy sees this guest's processes
    assert KEY not in guest.spied.read_text()
    assert KEY not in guest.console.read_text()


def test_nothing_secret_is_left_in_the_guest(guest: Guest) -> None:
    guest.sow(runner=7, config=CONFIG, boot="#!/bin/sh\n")
    guest.run(CLOUD)
    shutil.rmtree(guest.folder / "seed")
    shutil.rmtree(guest.bin)
    left = [path for path in guest.folder.rglob("*") if path.is_file()]
    assert left
    for path in left:
        text = path.read_text(errors="replace")
        assert KEY not in text
        assert CONFIG not in text


@pytest.mark.parametrize(("role", "word"), [("builder", "built"), ("smoke", "ok")])
def test_who_makes_or_tries_an_image_says_that_it_is_well(
    guest: Guest, role: str, word: str
) -> None:
    guest.sow(role=role)
    guest.answers("boot", 200, "#!/bin/sh\nprintf 'no end of line'\n")
    guest.run(CLOUD)
    assert guest.said == [f"{word} {NONCE}"]
    assert guest.done[-1] == "poweroff "


def test_a_builder_leaves_nothing_that_two_guests_must_not_share(guest: Guest) -> None:
    ids = {"etc/machine-id": "1", "etc/ssh/ssh_host_rsa_key": "2", "etc/ssh/sshd_config": "3"}
    for name, text in ids.items():
        (guest.folder / name).write_text(text)
    guest.sow(role="builder")
    guest.answers("boot", 200, "#!/bin/sh\n")
    guest.run(CLOUD)
    assert (guest.folder / "etc/machine-id").read_text() == ""
    assert not (guest.folder / "etc/ssh/ssh_host_rsa_key").exists()
    assert (guest.folder / "etc/ssh/sshd_config").exists()


@pytest.mark.parametrize("role", ["runner", "builder", "smoke"])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\nexit 3\n", "the boot script ended with 3"),
        ("", "the boot script is empty"),
        (None, "no boot script after 1 s: curl: (7) refused"),
    ],
    ids=["fails", "empty", "none"],
)
def test_what_failed_is_said_and_the_guest_powers_off(
    guest: Guest, role: str, script: str | None, words: str
) -> None:
    guest.sow(role=role)
    if script is not None:
        guest.answers("boot", 200, script)
    assert guest.run(CLOUD).returncode == 1
    assert guest.said == [f"failed: {words}"]
    assert guest.done[-1] == "poweroff "


def test_the_door_may_be_late(guest: Guest) -> None:
    guest.sow(runner=7)
    guest.answers("boot", 503)
    guest.program("sleep", f"printf '200\\n#!/bin/sh\\necho it ran\\n' >{guest.door}/boot")
    assert guest.run(CLOUD, SCALER_PATIENCE="60").returncode == 0
    assert "it ran" in guest.console.read_text()


def test_without_a_seed_it_is_said_and_over(guest: Guest) -> None:
    assert guest.run(CLOUD).returncode == 1
    assert "no seed" in guest.said[0]
    assert guest.done == ["poweroff "]


def test_without_an_address_it_is_said_and_over(guest: Guest) -> None:
    guest.sow(url="")
    assert guest.run(CLOUD).returncode == 1
    assert "neither a boot script nor an address" in guest.said[0]


def test_a_held_guest_stays(guest: Guest) -> None:
    guest.sow(runner=7, hold=True)
    guest.answers("boot", 200, "#!/bin/sh\nexit 3\n")
    guest.run(CLOUD)
    assert guest.said[0] == "failed: the boot script ended with 3"
    assert not any(line.startswith("poweroff") for line in guest.done)
    guest.answers("boot", 200, "#!/bin/sh\n")
    guest.run(CLOUD)
    assert not any(line.startswith("poweroff") for line in guest.done)


def test_a_builder_is_never_held(guest: Guest) -> None:
    guest.sow(role="builder", hold=True)
    guest.answers("boot", 200, "#!/bin/sh\nexit 3\n")
    guest.run(CLOUD)
    assert guest.done[-1] == "poweroff "


def test_with_everything_in_the_seed_nobody_is_asked(guest: Guest) -> None:
    guest.sow(
        runner=7, url="", key="", config=CONFIG,
        boot='#!/bin/sh\ncp "$SCALER_JITCONFIG" "$SCALER_ROOT/got"\n',
    )  # fmt: skip
    assert guest.run(CLOUD).returncode == 0
    assert (guest.folder / "got").read_text() == CONFIG
    assert guest.done == ["poweroff "]


def test_a_guest_that_is_known_by_its_address_sends_no_key(guest: Guest) -> None:
    guest.sow(runner=7, key="")
    guest.answers("boot", 200, "#!/bin/sh\n")
    guest.run(CLOUD)
    assert guest.done[0] == "curl http://10.0.0.1:8000/boot"


@pytest.mark.parametrize("tool", ["wget", "python3"])
def test_where_there_is_no_curl_another_program_asks(guest: Guest, tool: str) -> None:
    guest.sow(runner=7)
    (guest.bin / "curl").unlink()
    note = 'read -r address; echo "$address" >>"$NOTES"; '
    if tool == "wget":
        asks = 'while [ "$1" != -O ]; do shift; done; echo "#!/bin/sh" >"$2"'
    else:
        asks = 'echo "#!/bin/sh"'
    guest.program(tool, "spy\n" + note + asks)
    for name in ("sh", "mkdir", "rm", "cp", "mv", "cat", "chmod", "date", "tr", "env"):
        where = shutil.which(name, path="/usr/bin:/bin")
        assert where
        (guest.bin / name).symlink_to(where)
    assert guest.run(CLOUD, "/bin/sh", PATH=str(guest.bin)).returncode == 0
    assert guest.done == [f"http://10.0.0.1:8000/boot?key={KEY}", "poweroff "]
    assert KEY not in guest.spied.read_text()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck here")
def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(["shellcheck", CLOUD], capture_output=True, text=True, check=False)
    assert done.stdout == ""
