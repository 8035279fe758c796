"""Run the README's two commands on a system that has git, make and Python, and nothing else.

debootstrap makes that system in a temporary folder, from the mirror that this machine's apt
is set to use. Then, in it: as an ordinary user, that `make test` names the apt-get command
and stops; as root, that `make test` and `make demo` do everything themselves. It must run as
root. Each command gets mount and process namespaces of its own, so that whatever happens to
this script, no mount and no process of the system inside stays behind.

    python tools/fresh.py              the tiers in TIERS; by default all, on the Python there
    python tools/fresh.py --keep       leave the folder, to look into it
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("git", "make", "python3")
CLONE = "git clone -q -c advice.detachedHead=false /srv/scaler.bundle scaler"
COMMAND = (
    "sudo apt-get install --no-install-recommends "
    "pkg-config libvirt-dev gcc python3-dev python3-venv"
)
DEMO_SECONDS = 8  # how long the demo may run before it is told to stop
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private")
ENTER = """
mount -t proc proc "$0/proc"
mount --bind /dev "$0/dev"
mount --bind /dev/pts "$0/dev/pts"
mount -t tmpfs tmpfs "$0/dev/shm"
exec chroot "$0" "$@"
"""


class Failed(Exception):
    """Something is not as the README promises."""


def main() -> int:
    """Make the system, try the commands, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the folder, to look into it")
    arguments = parser.parse_args()
    for problem in problems():
        print(f"fresh: cannot run: {problem}")
        return 1
    # SIGTERM, from `timeout` say, cleans up too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="scaler-fresh-"))
    system = System(folder / "system")
    started = time.monotonic()
    try:
        system.make()
        check_ordinary_user(system)
        check_root(system)
    except (Failed, subprocess.SubprocessError) as error:
        print(f"fresh: FAILED: {error}")
        return 1
    finally:
        if arguments.keep:
            print(f"fresh: kept {folder}")
        else:
            shutil.rmtree(folder)
    print(f"fresh: passed after {time.monotonic() - started:.0f} s")
    return 0


def problems() -> list[str]:
    """Why it cannot run here."""
    found = []
    if os.geteuid() != 0:
        found.append("it must be root, to make a system in a folder")
    found += [
        f"{tool} is not installed"
        for tool in ("debootstrap", "unshare", "chroot", "git")
        if shutil.which(tool) is None
    ]
    return found


class System:
    """A system in a folder, entered one command at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }

    def make(self) -> None:
        """Bootstrap it, then give it this machine's way to the registries and the repository."""
        codename, mirror = suite_and_mirror()
        step(f"debootstrap {codename}, with {', '.join(PACKAGES)}")
        include = f"--include={','.join(PACKAGES)}"
        bootstrap = ["debootstrap", "--variant=minbase", include, codename, str(self.root), mirror]
        run([*ALONE, "--mount-proc", *bootstrap], 900)
        run(["git", "bundle", "create", str(self.root / "srv/scaler.bundle"), "HEAD"], 60)
        for name in ("resolv.conf", "hosts"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), self.root / "etc" / name)
        self.copy_registry_settings()
        self.run("useradd --create-home user")
        _, version = self.run("python3 --version")
        default = f"lint type docs py{''.join(version.split()[1].split('.')[:2])}"
        self.environment["TIERS"] = os.environ.get("TIERS") or default

    def copy_registry_settings(self) -> None:
        """Proxies, certificates and indexes, read from this machine as it runs."""
        apt = output(["apt-config", "dump", "--format", '%f "%v";%n', "Acquire"])
        proxies = [line for line in apt.splitlines() if "::Proxy" in line]
        settings = self.root / "etc/apt/apt.conf.d/99fresh"
        settings.write_text("".join(f"{line}\n" for line in proxies))
        for name in ("http_proxy", "https_proxy", "no_proxy"):
            for each in (name, name.upper()):
                if each in os.environ:
                    self.environment[each] = os.environ[each]
        certificates = Path("/etc/ssl/certs/ca-certificates.crt")
        for line in output([sys.executable, "-m", "pip", "config", "list"]).splitlines():
            key, _, quoted = line.partition("=")
            name, value = key.rpartition(".")[2], quoted.strip("'\"")
            if name == "cert":
                certificates = Path(value)
            elif name in ("index-url", "extra-index-url", "proxy", "trusted-host", "timeout"):
                # a folder of this machine is not there inside
                words = [word for word in value.split() if not word.startswith(("file:", "/"))]
                if words:
                    self.environment["PIP_" + name.upper().replace("-", "_")] = " ".join(words)
        if certificates.exists():
            inside = "/etc/fresh-certificates.pem"  # where no package of the system writes
            shutil.copy(certificates, self.root / inside.lstrip("/"))
            self.environment |= {"PIP_CERT": inside, "SSL_CERT_FILE": inside}

    def run(self, script: str, *, user: str = "root", timeout: int = 120) -> tuple[int, str]:
        """Run a script of sh inside, its output shown and returned; (exit code, output)."""
        identity = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}",
                                              "--init-groups")  # fmt: skip
        home = "/root" if user == "root" else f"/home/{user}"
        command = [
            *("timeout", "--kill-after=10", str(timeout)),
            *(*ALONE, "sh", "-ec", ENTER, str(self.root)),
            *(*identity, "sh", "-c", f"cd {home} && {{ {script}\n}}"),
        ]
        lines = []
        with subprocess.Popen(
            command,
            env=self.environment | {"HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    print(f"  | {line}", end="", flush=True)
                    lines.append(line)
                return process.wait(), "".join(lines)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)  # and with unshare goes all inside
                raise


def check_ordinary_user(system: System) -> None:
    """An ordinary user is told the command, and nothing is installed."""
    step("make test, as an ordinary user")
    code, said = system.run(f"{CLONE} && make -C scaler test", user="user")
    expect(code != 0, "make test as an ordinary user ends with an error")
    lines = [line.strip().removeprefix("setup:").strip() for line in said.splitlines()]
    expect(COMMAND in lines, f"it prints: {COMMAND}")
    expect(not (system.root / "usr/bin/gcc").exists(), "nothing was installed")


def check_root(system: System) -> None:
    """Root gets everything done by the two commands, and the demo stops when told."""
    step(f"make test, as root (tiers: {system.environment['TIERS']})")
    code, _ = system.run(f"{CLONE} && make -C scaler test", timeout=1800)
    expect(code == 0, "make test passes")
    step("make test again, to see that set-up has nothing left to do")
    started = time.monotonic()
    code, _ = system.run("cd scaler && tools/setup")
    expect(code == 0 and time.monotonic() - started < 5, "set-up is quick the second time")
    step(f"make demo | cat, told to stop after {DEMO_SECONDS} s")
    code, said = system.run(
        f"""
        cd scaler
        {{
            sleep {DEMO_SECONDS}
            demo=$(grep -la '[.]venv/bin/scaler' /proc/[0-9]*/cmdline | cut -d/ -f3)
            kill -INT $demo || echo "the demo was not running"
        }} &
        {{ make demo; echo "exit code $?"; }} 2>&1 | cat
        wait
        """,
        timeout=90,
    )
    expect("the demo was not running" not in said, "the demo runs until it is told to stop")
    expect("exit code 0" in said.splitlines(), "SIGINT ends the demo with exit code 0")
    expect(len(said.splitlines()) > 2, "the demo says what it did")


def suite_and_mirror() -> tuple[str, str]:
    """The release that this machine is, and the mirror its apt takes that release from."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if line
    )
    codename = release.get("VERSION_CODENAME", "").strip('"')
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    targets = output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    for line in targets.splitlines():
        uri, suite, component = line.split()
        if (suite, component) == (codename, "main"):
            return codename, uri
    raise Failed(f"apt knows no mirror for {codename or 'this release'}")


def expect(truth: bool, what: str) -> None:
    """Say that something holds, or fail."""
    if not truth:
        raise Failed(f"not so: {what}")
    print(f"fresh: yes: {what}", flush=True)


def step(text: str) -> None:
    """Say what comes next, and when."""
    print(f"\nfresh: {time.strftime('%H:%M:%S')} {text}", flush=True)


def run(command: list[str], timeout: int) -> None:
    """Run a command here; its output only matters if it fails."""
    done = subprocess.run(
        command, cwd=ROOT, timeout=timeout, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Failed(f"{command[0]}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def output(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    print(f"fresh: as {pwd.getpwuid(os.geteuid()).pw_name}, {sys.version.split()[0]}")
    sys.exit(main())
