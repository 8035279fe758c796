"""Where nobody answers: not running, no right, a hang; and what is read of the ledger then."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.canned import status
from tests.cli.fake import FakeScaler

from scaler.cli import asking
from scaler.cli import why as why_command
from scaler.cli.main import main
from scaler.control.client import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., tuple[int, list[str], list[str]]]

pytestmark = pytest.mark.once

ORDERS = [
    ["pause", "linux"],
    ["resume", "--all"],
    ["drain", "vm1"],
    ["undrain", "vm1"],
    ["reload"],
    ["release", "1"],
    ["destroy", "1"],
]


@pytest.mark.parametrize("argv", [*ORDERS, ["status"], ["why"]], ids=lambda argv: argv[0])
def test_none_that_ever_ran_is_told_with_how_to_start_one(
    tmp_path: Path, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scaler.toml").write_text("[scaler]\nstate_dir = 'none'\n")
    file = str(tmp_path / "scaler.toml")
    assert main([*argv, "-c", file]) == 1
    said = capsys.readouterr()
    assert "scaler is not running" in said.err
    assert str(tmp_path / "none") in said.err
    assert f"→ start it with: systemctl start scaler, or: scaler run -c {file}" in said.err
    assert "ask with --state-dir OLD" in said.err, "the settings may have changed while it runs"
    assert not (tmp_path / "none").exists()


def test_one_that_is_starting_is_not_said_to_be_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        assert main(["pause", "linux", "--state-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "systemctl start" not in said
    assert f"process {os.getpid()}" in said


def test_who_has_no_right_is_told_whose_it_is_and_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotAllowed(tmp_path, "ci runner")

    monkeypatch.setattr(asking, "ask", refuse)
    argv = ["pause", "my linux", "--state-dir", str(tmp_path)]
    assert main(argv) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("it is user ci runner's")
    assert second == f"→ sudo -u 'ci runner' scaler {shlex.join(argv)}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("argv", [["status"], ["why"], ["reload"]], ids=lambda argv: argv[0])
def test_another_user_is_told_the_same_by_the_system(argv: list[str]) -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        fake = FakeScaler(Path(folder, "state"))
        read, write = os.pipe()
        if (pid := os.fork()) == 0:  # (the interpreter itself may be out of that user's reach)
            try:
                os.dup2(write, 2)
                sys.stderr = os.fdopen(2, "w")
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
                main([*argv, "--state-dir", str(fake.folder)])
                sys.stderr.flush()
            finally:
                os._exit(0)
        os.close(write)
        with open(read, encoding="utf-8") as file:
            said = file.read()
        os.waitpid(pid, 0)
        fake.stop()
    assert "this user has no right to" in said
    assert said.splitlines()[0].endswith("it is user root's")
    assert "→ sudo scaler " in said


def test_settings_that_may_not_be_read_are_told_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scaler.toml"
    file.touch()

    def refuse(*_: Any) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert main(["status", "-c", str(file)]) == 1
    said = capsys.readouterr().err
    owner = pwd.getpwuid(file.stat().st_uid).pw_name
    assert f"{file}: cannot be read by this user: it is {owner}'s" in said
    assert "→ sudo " in said
    assert "--state-dir" in said


@pytest.mark.parametrize("command", ["status", "why"])
def test_one_that_hangs_is_told_with_what_to_do(
    ask: Ask, other: FakeScaler, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.hangs = True
    for module in (asking, why_command):
        monkeypatch.setattr(module, "QUICK", 0.2)
    monkeypatch.setattr("scaler.cli.status.QUICK", 0.2)
    code, out, err = ask(command)
    assert (code, out) == (1, [])
    assert err[0] == "scaler did not answer within 0.2 s"
    assert "journalctl -u scaler" in err[1]
    assert "systemctl restart scaler" in err[1]


def test_a_state_dir_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state-dir", ""]) == 2
    assert "--state-dir: found nothing" in capsys.readouterr().err


def test_settings_and_a_folder_at_once_are_not_understood(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["status", "-c", "a", "--state-dir", "b"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_settings_that_are_no_toml_are_exit_three(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scaler.toml").write_text("[scaler")
    assert main(["status", "-c", str(tmp_path / "scaler.toml")]) == 3
    said = capsys.readouterr().err.splitlines()
    assert "scaler.toml:1: is not TOML" in said[0]
    assert "--state-dir DIR" in said[1]


def test_a_scaler_that_runs_is_found_by_settings_that_are_being_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scaler.toml"
    file.write_text("[scaler]\nname = 'try'\nstate_dir = 'state'\n\n[profiles.linux\nx = 1\n")
    fake = FakeScaler(tmp_path / "state")
    fake.answers |= {"status": status(), "reload": {"ok": True}}
    try:
        assert main(["reload", "-c", str(file)]) == 0
        assert not capsys.readouterr().err, "scaler itself tells of it"
        assert main(["status", "-c", str(file)]) == 0
    finally:
        fake.stop()
    said = capsys.readouterr()
    assert "scaler try: all is well" in said.out
    first, second = said.err.splitlines()
    assert first.startswith(f"{file}:5: is not TOML")
    assert "mend it before the next start or reload" in second


# --- from the ledger ------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a scaler ran."""
    from scaler import telling

    def as_status(folder: Path, **given: Any) -> dict[str, Any]:
        return {
            "scaler": given["name"] or "try",
            "running": False,
            "ok": False,
            "time": 1000.0,
            "as_of": 940.0,
            "problems": [{"about": "scaler", "text": "scaler is not running", "cure": ""}],
            "profiles": [
                {"name": name, "counts": {}, "target": 1, "why": "scaler is not running"}
                for name in given["profiles"] or ["linux"]
            ],
        }

    def as_why(folder: Path, about: str | None, **given: Any) -> dict[str, Any]:
        if about == "nothing":
            raise telling.Unknown('there is no "nothing"', "look elsewhere")
        return {"found": [{"kind": "profile", "name": about or "all", "text": "paused"}]}

    monkeypatch.setattr(telling, "offline_status", as_status)
    monkeypatch.setattr(telling, "offline_why", as_why)
    (tmp_path / "lock").write_text("99999999\n")
    (tmp_path / "ledger.sqlite3").touch()
    return tmp_path


def test_status_says_first_that_it_does_not_run_and_then_what_the_ledger_has(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--state-dir", str(ledger)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("scaler is not running")
    assert out[1].startswith("→ start it with")
    assert out[2] == "what follows is from its ledger, as of 00:15:40 UTC (1m00s ago)"
    assert out[-1].split() == ["linux", "0/1", "-", "-", "-", "-", "?"]
    assert "\n".join(out).count("not running") == 1


def test_its_json_says_that_it_does_not_run(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json", "--state-dir", str(ledger)]) == 0
    assert json.loads(capsys.readouterr().out)["running"] is False


def test_the_settings_tell_more_than_the_ledger(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ledger / "scaler.toml"
    file.write_text("[scaler]\nname = 'mine'\nstate_dir = '.'\n[profiles.arm]\nmax_count = 2\n")
    assert main(["status", "-c", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("arm ")


def test_why_reads_the_ledger_too(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "linux", "--state-dir", str(ledger)]) == 0
    said = capsys.readouterr()
    assert said.out == "profile linux: paused\n"
    assert said.err.startswith("scaler is not running")
    assert main(["why", "nothing", "--state-dir", str(ledger)]) == 1
    assert capsys.readouterr().err.endswith('there is no "nothing"\n→ look elsewhere\n')
