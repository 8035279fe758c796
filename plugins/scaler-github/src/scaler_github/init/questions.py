"""The questions, in the order in which they are asked: one table, from which the flags come too."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaler import Size
from scaler_github.init import checks

Answers = Mapping[str, Any]
LOCAL = "qemu:///system"


def _nothing(_: Answers) -> str:
    return ""


def _always(_: Answers) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question.

    Attributes:
        key: What the answer is kept under.
        flag: What answers it on the command line; empty: nothing but other flags do.
        ask: How it is asked on a terminal; empty: it is not asked, its default counts.
        why: The line of explanation before it.
        help: What `--help` says.
        read: Understands an answer; raises ValueError with the reason where it is wrong.
        default: What counts where nothing is answered; empty where there is none.
        propose: What counts so on a terminal alone, since it may be wrong.
        wanted: Whether it is a question at all, after the answers before it.
        several: Whether its flag may be given more than once.
        metavar: What `--help` calls the flag's value.
    """

    key: str
    flag: str = ""
    ask: str = ""
    why: str = ""
    help: str = ""
    read: Callable[[str, Answers], Any]
    default: Callable[[Answers], str] = _nothing
    propose: Callable[[Answers], str] = _nothing
    wanted: Callable[[Answers], bool] = _always
    several: bool = False
    metavar: str = ""


def _is(text: str) -> Callable[[Answers], str]:
    return lambda _: text


def _signs_in(how: str) -> Callable[[Answers], bool]:
    return lambda answers: answers.get("auth") == how


def _real(answers: Answers) -> bool:
    return answers.get("machines") == "libvirt"


def _one(answers: Answers) -> bool:
    """Whether the profile is asked for: another system's settings may have brought some."""
    return not answers.get("profiles")


def _image(answers: Answers) -> bool:
    return _real(answers) and _one(answers) and "base_image" not in answers


def _built(answers: Answers) -> bool:
    return "source_image" in answers and _one(answers)


def _host_name(_: Answers) -> str:
    first = socket.gethostname().partition(".")[0].lower()
    return re.sub(r"[^a-z0-9-]", "-", first)[:50].strip("-") or "scaler"


def _state_dir(_: Answers) -> str:
    if os.geteuid() == 0:
        return "/var/lib/scaler"
    base = os.environ.get("XDG_STATE_HOME", "")
    return str((Path(base) if base.startswith("/") else Path.home() / ".local/state") / "scaler")


def _most(answers: Answers) -> str:
    return str(max(8, answers.get("target_count", 0)))


def _runner_memory(answers: Answers) -> str:
    limit = checks.most_memory(answers)
    return str(Size(min(4 << 30, limit if limit is not None else 4 << 30)))


def _runner_vcpus(answers: Answers) -> str:
    return str(min(2, checks.most_vcpus(answers) or 2))


def memory_here() -> str:
    """What runners may use of this machine's memory: all but an eighth, and 1 GiB at least left."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    left = max(total // 8, 1 << 30)
    return str(Size(max((total - left) >> 30, 1) << 30))


def vcpus_here() -> str:
    """How many processors this machine has."""
    return str(os.cpu_count() or 1)


QUESTIONS = (
    Question(
        key="url",
        flag="--url",
        ask="Organization, repository or enterprise",
        why="Whose jobs are to be run: its address as a browser shows it, such as "
        "https://github.com/acme or https://github.com/acme/web.",
        help="the organization, repository or enterprise, as a browser shows it",
        read=checks.url,
    ),
    Question(
        key="auth",
        ask="Where the credential is: env, file or app",
        why="What may register runners: a token in an environment variable (env) or in a file "
        "(file), or a GitHub App (app). It is never written into the settings.",
        read=checks.choice("env", "file", "app"),
        default=_is("env"),
    ),
    Question(
        key="token_env",
        flag="--token-env",
        metavar="NAME",
        ask="Name of the variable that has the token",
        why="The variable's name, not the token.",
        help="the environment variable that has the token",
        read=checks.variable,
        default=_is("GITHUB_TOKEN"),
        wanted=_signs_in("env"),
    ),
    Question(
        key="token_file",
        flag="--token-file",
        metavar="FILE",
        ask="File that has the token",
        why="Its owner is the user that scaler runs as, its mode 0600. It need not be there yet.",
        help="the file that has the token",
        read=checks.file,
        default=_is("/etc/scaler/github.token"),
        wanted=_signs_in("file"),
    ),
    Question(
        key="app_client_id",
        flag="--app-client-id",
        ask="The App's client ID",
        why="On the App's page at GitHub, such as Iv23liAbCdEf; its number will do, too.",
        help="sign in as a GitHub App: its client ID",
        read=checks.client_id,
        wanted=_signs_in("app"),
    ),
    Question(
        key="app_installation_id",
        flag="--app-installation-id",
        metavar="NUMBER",
        ask="The number of its installation",
        why="The number at the end of the address that its installation has in a browser.",
        help="the number of its installation",
        read=checks.number(1),
        wanted=_signs_in("app"),
    ),
    Question(
        key="app_key_file",
        flag="--app-key-file",
        metavar="FILE",
        ask="File that has the App's private key",
        why="The PEM file that GitHub gave for it, with mode 0600. It need not be there yet.",
        help="the file that has its private key",
        read=checks.file,
        default=_is("/etc/scaler/app.pem"),
        wanted=_signs_in("app"),
    ),
    Question(
        key="name",
        flag="--name",
        ask="Name of this scaler",
        why="It stands in every runner's name and every machine's tag, and no other scaler of "
        "yours may have it.",
        help="this scaler's name",
        read=checks.name,
        default=_host_name,
    ),
    Question(
        key="state_dir",
        flag="--state-dir",
        metavar="FOLDER",
        ask="Folder for what it must remember",
        why="The user that scaler runs as must be able to write there.",
        help="the folder for what it must remember",
        read=checks.folder,
        default=_state_dir,
    ),
    Question(
        key="machines",
        flag="--machines",
        metavar="KIND",
        ask="Machines: libvirt or test",
        why="libvirt makes real ones on your hypervisors; test is libvirt's test driver, whose "
        "machines are remembered and never run: for a first look.",
        help="libvirt: on hypervisors; test: remembered and never run, for a first look",
        read=checks.choice("libvirt", "test"),
        default=_is("libvirt"),
    ),
    Question(
        key="hosts",
        flag="--host",
        ask="The hypervisor",
        why="libvirt's address of it: qemu:///system is this machine.",
        help="a hypervisor, as libvirt's URI, and behind commas what runners may use of it in all: "
        "name=vm1, memory=64G, vcpus=16 (none: no limit), hugepages_1g=8, network=default; once "
        "for each",
        metavar="URI[,KEY=VALUE…]",
        read=checks.host,
        default=_is(LOCAL),
        wanted=_real,
        several=True,
    ),
    Question(
        key="profile",
        flag="--profile",
        metavar="NAME",
        ask="Name of the first kind of runner",
        why="Workflows ask for it: runs-on: linux.",
        help="the first profile's name",
        read=checks.name,
        default=_is("linux"),
        wanted=_one,
    ),
    Question(
        key="scale_set",
        flag="--scale-set",
        metavar="NAME",
        help="its scale set's name, which workflows ask for; the profile's where left out",
        read=checks.reference,
        wanted=_one,
    ),
    Question(
        key="runner_group",
        flag="--runner-group",
        metavar="NAME",
        help="the runner group of its scale set",
        read=checks.reference,
        wanted=_one,
    ),
    Question(
        key="max_lifetime",
        flag="--max-lifetime",
        metavar="TIME",
        help="after which a runner is destroyed even if it is busy, such as 24h",
        read=checks.duration,
        wanted=_one,
    ),
    Question(
        key="labels",
        flag="--label",
        ask="More labels",
        why="What workflows may ask for beside that name, with commas between; or none.",
        help="another label of it; once for each",
        read=checks.labels,
        default=_is(checks.NONE),
        wanted=_one,
        several=True,
    ),
    Question(
        key="target_count",
        flag="--target-count",
        metavar="NUMBER",
        ask="How many stand ready",
        why="Runners that wait for a job: the job starts at once, and they cost their memory.",
        help="how many runners stand ready while nothing asks for them",
        read=checks.count,
        default=_is("1"),
        wanted=_one,
    ),
    Question(
        key="max_count",
        flag="--max-count",
        metavar="NUMBER",
        ask="How many at most",
        why="However many jobs wait. The hypervisors' limits count, too.",
        help="how many runners there may be at most",
        read=checks.most,
        default=_most,
        wanted=_one,
    ),
    Question(
        key="runner_memory",
        flag="--runner-memory",
        metavar="SIZE",
        ask="Memory of each machine",
        why="With its unit, such as 4G.",
        help="what each machine takes of its host's memory",
        read=checks.runner_memory,
        default=_runner_memory,
        wanted=_one,
    ),
    Question(
        key="runner_vcpus",
        flag="--runner-vcpus",
        metavar="NUMBER",
        ask="Processors of each machine",
        why="Virtual ones: they may add up to more than the host has, if its limit says so.",
        help="how many virtual processors each machine has",
        read=checks.runner_vcpus,
        default=_runner_vcpus,
        wanted=_one,
    ),
    Question(
        key="base_image",
        flag="--base-image",
        help="the disk that its machines start from as it is, in place of --source-image",
        read=checks.image,
        wanted=lambda answers: _real(answers) and _one(answers) and "source_image" not in answers,
    ),
    Question(
        key="source_image",
        flag="--source-image",
        ask="Cloud image that runners are made from",
        why="On the hypervisor: a whole path, or a volume's name in the pool `default`. scaler "
        "builds its own image from it, and writes nothing to it.",
        help="the cloud image that its image is built from: a path on the hypervisor, or a volume",
        read=checks.image,
        propose=_is("debian-13-genericcloud-amd64.qcow2"),
        wanted=_image,
    ),
    Question(
        key="disk_size",
        flag="--disk-size",
        ask="Disk of each machine",
        why="It takes only what is written to it.",
        help="how large each machine's disk is",
        read=checks.size,
        default=_is("30G"),
        wanted=_built,
    ),
    Question(
        key="listen",
        flag="--listen",
        metavar="HOST:PORT",
        ask="Address of the dashboard",
        why="Where people and workflows reach the dashboard and the Monitor API.",
        help="where the dashboard and the Monitor API are served",
        read=checks.listen,
        default=_is("127.0.0.1:8000"),
        several=True,
    ),
    Question(
        key="guest_listen",
        flag="--guest-listen",
        metavar="HOST:PORT",
        ask="Address for guests",
        why="Where machines fetch their boot script and config: this machine's address on "
        "libvirt's network (virsh net-dumpxml default), or none.",
        help="where guests fetch their boot script and config, or none",
        read=checks.guest_listen,
        default=_is("192.168.122.1:8000"),
        wanted=_real,
        several=True,
    ),
    Question(
        key="monitor_token_env",
        flag="--monitor-token-env",
        metavar="NAME",
        help="the variable that has the Monitor API's token; without one nobody may take runners",
        read=checks.variable,
    ),
)
BY_KEY = {question.key: question for question in QUESTIONS}
