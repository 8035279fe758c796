"""The boot scripts of docs/examples, run here: with other programs' names before their own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.machine.conftest import Guest

EXAMPLES = Path(__file__).parents[4] / "docs/examples/guests"
CLOUD_BOOT = EXAMPLES / "cloud-boot.sh"
MINIMAL_BOOT = EXAMPLES / "minimal-boot.sh"
KEY, CONFIG, NONCE = "k3y-of-the-guest", "eyJjb25maWcifQ==", "n0nce"
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]


def installed(guest: Guest) -> Path:
    """A runner that tells what it got."""
    home = guest.folder / "opt/actions-runner"
    (home / "bin").mkdir(parents=True)
    (home / "image-built").touch()
    run = f'#!/bin/sh\nenv >"{guest.folder}/env"\nspy\n'
    for path, script in (("run.sh", run), ("bin/Runner.Listener", '#!/bin/sh\necho "$1"\n')):
        (home / path).write_text(script)
        (home / path).chmod(0o755)
    guest.program("runuser", 'echo "runuser $*" >>"$NOTES"\nshift 3\nexec "$@"')
    return home


def told(role: str, **more: str) -> dict[str, str]:
    return {
        "SCALER_URL": "http://10.0.0.1:8000",
        "SCALER_KEY": KEY,
        "SCALER_ROLE": role,
        "SCALER_NONCE": NONCE,
        **more,
    }


def environment(guest: Guest) -> Mapping[str, str]:
    lines = (guest.folder / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.mark.parametrize("shell", SHELLS)
def test_d27_the_config_is_on_no_command_line_and_the_job_has_no_key(
    guest: Guest, shell: str
) -> None:
    installed(guest)
    guest.answers("github-jitconfig", 200, json.dumps(CONFIG))
    done = guest.run(CLOUD_BOOT, shell, **told("runner"))
    assert done.returncode == 0, done.stderr
    env = environment(guest)
    assert env["ACTIONS_RUNNER_INPUT_JITCONFIG"] == CONFIG
    assert "run.sh" in guest.spied.read_text()
    assert CONFIG not in guest.spied.read_text()
    assert KEY not in guest.spied.read_text()
    assert KEY not in (guest.folder / "env").read_text()
    assert guest.done == [
        f"curl http://10.0.0.1:8000/github-jitconfig?key={KEY}",
        "runuser -u runner -- ./run.sh",
    ]


def test_a_runner_waits_for_its_config(guest: Guest) -> None:
    installed(guest)
    guest.answers("github-jitconfig", 503)
    guest.program(
        "sleep",
        f"printf '200\\n%s' {shlex.quote(json.dumps(CONFIG))} >{guest.door}/github-jitconfig",
    )
    assert guest.run(CLOUD_BOOT, **told("runner")).returncode == 0
    assert environment(guest)["ACTIONS_RUNNER_INPUT_JITCONFIG"] == CONFIG


def test_a_config_that_was_fetched_before_is_the_end(guest: Guest) -> None:
    installed(guest)
    guest.answers("github-jitconfig", 410)
    done = guest.run(CLOUD_BOOT, **told("runner"))
    assert done.returncode != 0
    assert "410" in done.stderr
    assert not (guest.folder / "env").exists()


def test_a_config_in_the_seed_is_taken_from_there(guest: Guest) -> None:
    installed(guest)
    secret = guest.folder / "run/jitconfig"
    secret.write_text(CONFIG)
    assert guest.run(CLOUD_BOOT, **told("runner", SCALER_JITCONFIG=str(secret))).returncode == 0
    assert environment(guest)["ACTIONS_RUNNER_INPUT_JITCONFIG"] == CONFIG
    assert "SCALER_JITCONFIG" not in environment(guest)
    assert not secret.exists()


def test_a_builder_installs_the_runner(guest: Guest) -> None:
    guest.program("chown", ":")
    packed = guest.folder / "packed"
    (packed / "bin").mkdir(parents=True)
    (packed / "run.sh").touch()
    (packed / "bin/installdependencies.sh").write_text('#!/bin/sh\necho deps >>"$NOTES"\n')
    (packed / "bin/installdependencies.sh").chmod(0o755)
    guest.program(
        "curl",
        f"""read -r line; echo "curl $line" >>"$NOTES"
while [ "$1" != -o ]; do shift; done; tar -czf "$2" -C {packed} .; printf 200""",
    )
    done = guest.run(CLOUD_BOOT, **told("builder"), RUNNER_VERSION="2.1.0")
    assert done.returncode == 0, done.stderr
    home = guest.folder / "opt/actions-runner"
    assert (home / "image-built").exists()
    assert (home / "run.sh").exists()
    assert "deps" in guest.done
    assert "/v2.1.0/actions-runner-linux-" in guest.notes.read_text()
    assert KEY not in guest.notes.read_text()


def test_a_builder_whose_archive_is_another_one_fails(guest: Guest) -> None:
    guest.program("chown", ":")
    guest.program("curl", 'while [ "$1" != -o ]; do shift; done; echo x >"$2"; printf 200')
    done = guest.run(CLOUD_BOOT, **told("builder"), RUNNER_SHA256="0" * 64)
    assert done.returncode != 0
    assert not (guest.folder / "opt/actions-runner/image-built").exists()


def test_a_builder_without_the_archive_fails(guest: Guest) -> None:
    guest.program("chown", ":")
    guest.program("curl", "printf 404")
    done = guest.run(CLOUD_BOOT, **told("builder"))
    assert done.returncode != 0
    assert "answered 404" in done.stderr


@pytest.mark.parametrize(("status", "good"), [(404, True), (403, False), (200, False)])
def test_a_trial_is_good_where_the_scaler_answers_that_there_is_no_config(
    guest: Guest, status: int, good: bool
) -> None:
    installed(guest)
    guest.answers("github-jitconfig", status, '"x"')
    assert (guest.run(CLOUD_BOOT, **told("smoke"), TRIES="2").returncode == 0) is good


def test_a_trial_of_an_image_without_a_runner_fails(guest: Guest) -> None:
    guest.answers("github-jitconfig", 404)
    assert guest.run(CLOUD_BOOT, **told("smoke")).returncode != 0


def minimal(guest: Guest, role: str) -> subprocess.CompletedProcess[str]:
    run = guest.folder / "run.sh"
    run.write_text(f'#!/bin/sh\nenv >"{guest.folder}/env"\nspy\n')
    run.chmod(0o755)
    guest.program("setuidgid", 'echo "setuidgid $1" >>"$NOTES"\nshift\nexec "$@"')
    guest.program("timeout", 'shift\nexec "$@"')
    guest.program(
        "wget",
        """answer=$DOOR/github-jitconfig; status=$(head -n 1 "$answer")
[ "$status" = 200 ] || { echo "wget: server returned error: HTTP/1.1 $status" >&2; exit 1; }
tail -n +2 "$answer" """,
    )
    built = guest.folder / "opt/runner/image-built"
    env = told(role, RUNNER=str(run), BUILT=str(built))
    return guest.run(MINIMAL_BOOT, **env)


def test_d27_a_minimal_guest_starts_its_runner(guest: Guest) -> None:
    guest.answers("github-jitconfig", 200, json.dumps(CONFIG))
    done = minimal(guest, "runner")
    assert done.returncode == 0, done.stderr
    assert environment(guest)["ACTIONS_RUNNER_INPUT_JITCONFIG"] == CONFIG
    assert CONFIG not in guest.spied.read_text()
    assert KEY not in (guest.folder / "env").read_text()
    assert guest.done == ["setuidgid runner"]


@pytest.mark.parametrize("status", [410, 503])
def test_a_minimal_guest_without_config_says_so(guest: Guest, status: int) -> None:
    guest.answers("github-jitconfig", status)
    done = minimal(guest, "runner")
    assert (done.returncode, "scaler: failed: no config" in done.stdout) == (1, True)


def test_a_minimal_guest_makes_an_image_and_tries_it(guest: Guest) -> None:
    guest.answers("github-jitconfig", 404)
    assert minimal(guest, "smoke").returncode != 0  # nothing was built yet
    assert minimal(guest, "builder").stdout.endswith(f"scaler: built {NONCE}\n")
    assert minimal(guest, "smoke").stdout == f"scaler: ok {NONCE}\n"


@pytest.mark.skipif(shutil.which("busybox") is None, reason="there is no busybox here")
def test_busybox_reads_the_minimal_guests_script() -> None:
    done = subprocess.run(["busybox", "ash", "-n", MINIMAL_BOOT], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck here")
@pytest.mark.parametrize("script", [CLOUD_BOOT, MINIMAL_BOOT], ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.stdout == ""
