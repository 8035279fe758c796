"""Questions on a terminal."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scaler import FatalError
from scaler_github.init.asking import Terminal
from scaler_github.init.building import build
from scaler_github.init.collecting import Answered, collect
from scaler_github.init.document import Document

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"


def asked(*lines: str, given: dict[str, list[str]] | None = None) -> tuple[Answered, str]:
    """The answers that come of what is typed, and what was shown."""
    screen = io.StringIO()
    source = io.StringIO("".join(f"{line}\n" for line in lines))
    done = collect(given or {}, {}, Terminal(source, screen))
    assert not source.read(), "not all that was typed was asked for"
    return done, screen.getvalue()


def made(done: Answered) -> dict[str, object]:
    document = Document()
    build(done, document, boot_script=True)
    return tomllib.loads(document.text())


DEFAULTS = [""] * 19  # one for each question after the first


def test_an_address_and_defaults_are_enough() -> None:
    done, shown = asked("https://github.com/acme", *DEFAULTS)
    assert done.answers["source_image"] == "debian-13-genericcloud-amd64.qcow2"
    assert [host["uri"] for host in done.answers["hosts"]] == ["qemu:///system"]
    assert made(done)
    assert "Whose jobs are to be run" in shown
    assert "Organization, repository or enterprise: " in shown
    assert "Name of the variable that has the token [GITHUB_TOKEN]: " in shown


def test_what_a_flag_says_is_not_asked() -> None:
    done, shown = asked(
        given={
            "url": ["https://github.com/acme"],
            "token_file": ["t"],
            "name": ["a"],
            "state_dir": ["/s"],
            "machines": ["test"],
            "profile": ["p"],
            "labels": ["l"],
            "target_count": ["0"],
            "max_count": ["1"],
            "runner_memory": ["1G"],
            "runner_vcpus": ["1"],
            "listen": ["127.0.0.1:1"],
        }
    )
    assert shown == ""
    assert done.answers["auth"] == "file"


def test_a_wrong_answer_is_asked_for_again_with_the_reason() -> None:
    done, shown = asked("acme", "https://github.com/acme/", *DEFAULTS)
    assert done.answers["url"] == "https://github.com/acme"
    assert "found 'acme': not a web address" in shown
    assert shown.count("Organization, repository or enterprise: ") == 2


def test_a_token_typed_where_a_name_is_asked_is_refused_and_not_repeated() -> None:
    done, shown = asked("https://github.com/acme", "env", TOKEN, "MY_TOKEN", *DEFAULTS[2:])
    assert done.answers["token_env"] == "MY_TOKEN"
    assert "looks like a token" in shown
    assert TOKEN not in shown
    assert TOKEN not in Document(settings={}).text()


def test_an_app_is_asked_for_its_numbers() -> None:
    done, _ = asked("https://github.com/acme", "app", "Iv23li", "x", "42", "/k.pem", *DEFAULTS[2:])
    github = made(done)["plugins"]["github"]  # type: ignore[index]
    assert github["app"] == {
        "client_id": "Iv23li",
        "installation_id": 42,
        "private_key": {"file": "/k.pem"},
    }


def test_several_hypervisors_are_asked_for_one_after_another() -> None:
    given = {"url": ["https://github.com/acme"], "machines": ["libvirt"]}
    lines = ["", "", "", ""]  # how to sign in, the variable, the name, the folder
    lines += ["qemu:///system", "48G", "12"]
    lines += ["qemu+ssh://vm2/system", "", "96G", "none", ""]  # it has no default for the memory
    done, shown = asked(*lines, *[""] * 10, given=given)
    assert done.answers["hosts"] == [
        {"name": "vm1", "uri": "qemu:///system", "memory": "48G", "vcpus": 12},
        {"name": "vm2", "uri": "qemu+ssh://vm2/system", "memory": "96G"},
    ]
    assert "found nothing" in shown


def test_the_end_of_the_input_ends_it() -> None:
    with pytest.raises(FatalError, match="ended before all was answered; nothing was written"):
        asked("https://github.com/acme")


# --- a real one --------------------------------------------------------------------------


@contextmanager
def at_a_terminal(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "scaler", "init"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: _own(theirs),
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _own(theirs: int) -> None:
    os.setsid()
    import fcntl
    import termios

    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)


def read_until(ours: int, text: str, seconds: float = 30) -> str:
    seen, deadline = "", time.monotonic() + seconds
    while text not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([ours], [], [], 0.1)[0]:
            try:
                seen += os.read(ours, 4096).decode()
            except OSError:
                break
    return seen


@pytest.mark.once
def test_a_person_answers_and_finds_a_file(tmp_path: Path) -> None:
    with at_a_terminal(tmp_path) as (process, ours):
        read_until(ours, "enterprise: ")
        os.write(ours, b"https://github.com/acme\n" + b"\n" * 19)
        shown = read_until(ours, "scaler run -c scaler.toml")
        assert process.wait(30) == 0
    assert "What to do next:" in shown
    file = tmp_path / "scaler.toml"
    assert tomllib.loads(file.read_text())["plugins"]["github"]["url"] == "https://github.com/acme"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.once
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with at_a_terminal(tmp_path) as (process, ours):
        read_until(ours, "enterprise: ")
        os.write(ours, b"https://github.com/acme\n")
        read_until(ours, "app [env]: ")
        os.write(ours, b"\x03")
        assert process.wait(30) == 128 + signal.SIGINT
    assert list(tmp_path.iterdir()) == []
