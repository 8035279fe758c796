"""The scripts that run in guests, run here: with other programs' names before their own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scaler_libvirt.machine.seed import Seed, contents

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[4]
CLOUD = ROOT / "plugins/scaler-libvirt/src/scaler_libvirt/machine/scripts/cloud.sh"
EXAMPLES = ROOT / "docs/examples/guests"
CLOUD_BOOT = EXAMPLES / "cloud-boot.sh"
MINIMAL_BOOT = EXAMPLES / "minimal-boot.sh"
KEY, CONFIG, NONCE = "k3y-of-the-guest", "eyJjb25maWcifQ==", "n0nce"
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]

# What looks at a process as everybody else in the guest can: /proc/*/cmdline of all its family.
SPY = (
    'for each in /proc/[0-9]*/cmdline; do tr "\\0" " " <"$each"; echo; done >>"$SPIED" 2>/dev/null'
)


class Guest:
    """A folder that stands in for a guest, with programs that do nothing but note it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.notes = folder / "notes"
        self.spied = folder / "spied"
        self.door = folder / "door"
        for name in ("bin", "dev", "run", "var/lib", "etc/ssh", "seed", "door", "opt"):
            (folder / name).mkdir(parents=True)
        self.console = folder / "dev/ttyS0"
        self.console.touch()
        self.spied.touch()
        self.notes.touch()
        for name in ("poweroff", "useradd", "apt-get", "sync"):
            self.program(name, f'echo "{name} $*" >>"$NOTES"')
        self.program("sleep", ":")
        # the door: a file per path; its first line is the status, the rest the answer
        self.program(
            "curl",
            f"""{SPY}
read -r line
for word in "$@"; do [ "${{last:-}}" != -o ] || out=$word; last=$word; done
address=${{line#url = \\"}}; address=${{address%\\"}}
echo "curl $address" >>"$NOTES"
path=${{address##*/}}; answer=$DOOR/${{path%%\\?*}}
[ -e "$answer" ] || {{ echo "curl: (7) refused" >&2; exit 7; }}
status=$(head -n 1 "$answer"); tail -n +2 "$answer" >"$out"
case $* in *http_code*) printf %s "$status" ;;
*) [ "$status" -lt 400 ] || {{ echo "curl: (22) error: $status" >&2; exit 22; }} ;; esac""",
        )

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def answers(self, path: str, status: int, text: str = "") -> None:
        (self.door / path).write_text(f"{status}\n{text}")

    def sow(self, **changes: object) -> None:
        values: dict[str, object] = {
            "uuid": "u",
            "name": "linux-7",
            "url": "http://10.0.0.1:8000/",
            "key": KEY,
            "nonce": NONCE,
            "profile": "linux",
        }
        for name, data in contents(Seed(**{**values, **changes})).items():  # type: ignore[arg-type]
            (self.folder / "seed" / name).write_bytes(data)

    def run(self, script: Path, shell: str = "sh", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell, script],
            env={
                "PATH": f"{self.bin}:/usr/bin:/bin",
                "SCALER_ROOT": str(self.folder),
                "SCALER_PATIENCE": "1",
                "NOTES": str(self.notes),
                "SPIED": str(self.spied),
                "DOOR": str(self.door),
                **env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def said(self) -> list[str]:
        lines = self.console.read_text(errors="replace").replace("\r", "").splitlines()
        return [line.removeprefix("scaler: ") for line in lines if line.startswith("scaler: ")]

    @property
    def done(self) -> list[str]:
        return [line for line in self.notes.read_text().splitlines() if not line.startswith("sync")]


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


DUMP = f'#!/bin/sh\nenv >"$SCALER_ROOT/env"\n{SPY}\necho it ran\n'


# --- cloud.sh


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
    guest.program(tool, SPY + "\n" + note + asks)
    for name in ("sh", "mkdir", "rm", "cp", "mv", "cat", "chmod", "date", "tr", "env"):
        where = shutil.which(name, path="/usr/bin:/bin")
        assert where
        (guest.bin / name).symlink_to(where)
    assert guest.run(CLOUD, "/bin/sh", PATH=str(guest.bin)).returncode == 0
    assert guest.done == [f"http://10.0.0.1:8000/boot?key={KEY}", "poweroff "]
    assert KEY not in guest.spied.read_text()


# --- boot scripts


def installed(guest: Guest) -> Path:
    """A runner that tells what it got."""
    home = guest.folder / "opt/actions-runner"
    (home / "bin").mkdir(parents=True)
    (home / "image-built").touch()
    run = f'#!/bin/sh\nenv >"{guest.folder}/env"\n{SPY}\n'
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
    run.write_text(f'#!/bin/sh\nenv >"{guest.folder}/env"\n{SPY}\n')
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
@pytest.mark.parametrize("script", [CLOUD, CLOUD_BOOT, MINIMAL_BOOT], ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.stdout == ""
