"""What a person orders: what is asked of scaler, what is said of it, and what is asked before."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.canned import NIGHT, job, profile, room, runner, status
from tests.cli.fake import NOW, FakeScaler, Refused, Terminal

from scaler.cli import drain
from scaler.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[..., tuple[int, list[str], list[str]]]

pytestmark = pytest.mark.once


def order(name: str, kind: str = "pause") -> dict[str, Any]:
    return {"kind": kind, "name": name, "since": NOW, "by": "root"}


def refuse(*given: Any) -> Callable[[object], None]:
    def answer(_: object) -> None:
        raise Refused(*given)

    return answer


# --- pause, resume --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"idle": 2, "busy": 3}, "linux is paused: 2 idle runners go, 3 busy ones finish; "),
        ({"idle": 1, "busy": 1}, "linux is paused: 1 idle runner goes, 1 busy one finishes; "),
        ({"booting": 1}, "linux is paused: 1 starting runner goes; "),
        ({"held": 2, "reserved": 1}, "1 reserved runner stays, 2 held ones stay; "),
        ({}, "linux is paused: it has no runners; "),
    ],
)
def test_pause_says_what_follows_and_how_it_is_taken_back(
    ask: Ask, other: FakeScaler, counts: dict[str, int], told: str
) -> None:
    other.answers |= {
        "status": status(profiles=[profile("linux", counts=counts)]),
        "pause": {"orders": [order("linux")]},
    }
    code, out, err = ask("pause", "linux")
    assert (code, err) == (0, [])
    assert told in out[0]
    assert out[0].endswith("resume with: scaler resume linux")
    assert other.asked("pause") == [{"profiles": ["linux"]}]


def test_one_that_is_paused_already_says_since_when_and_by_whom(
    ask: Ask, other: FakeScaler
) -> None:
    other.answers |= {"status": NIGHT, "pause": {"orders": [order("large"), order("gone")]}}
    code, out, _ = ask("pause", "large", "gone")
    assert code == 0
    assert "large is paused already since 17:20:00 UTC (53m20s ago) by root" in out[0]
    assert out[1] == "gone is paused; resume with: scaler resume gone"


def test_all_profiles_at_once(ask: Ask, other: FakeScaler) -> None:
    other.answers |= {"pause": {"orders": []}, "resume": {"resumed": ["a", "b"]}}
    assert ask("pause", "--all")[0] == 0
    assert ask("resume", "--all") == (0, ["a takes jobs again", "b takes jobs again"], [])
    assert other.asked("pause") == other.asked("resume") == [{"all": True}]


def test_resume_says_who_was_not_paused(ask: Ask, other: FakeScaler) -> None:
    other.answers["resume"] = {"resumed": ["a"]}
    assert ask("resume", "a", "b")[1] == ["a takes jobs again", "b was not paused"]
    other.answers["resume"] = {"resumed": []}
    assert ask("resume", "--all")[1] == ["nothing was paused"]


@pytest.mark.parametrize("argv", [[], ["--all", "linux"]])
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_either_some_profiles_or_all(ask: Ask, command: str, argv: list[str]) -> None:
    code, out, err = ask(command, *argv)
    assert (code, out) == (2, [])
    assert "--all" in "".join(err)


def test_an_order_that_a_restart_would_lose_is_a_warning(ask: Ask, other: FakeScaler) -> None:
    other.answers["pause"] = {"orders": [order("linux")], "warning": "a restart loses it"}
    code, _, err = ask("pause", "linux")
    assert (code, err) == (1, ["a restart loses it"])


def test_a_name_that_nobody_knows_is_told_with_what_may_have_been_meant(
    ask: Ask, other: FakeScaler
) -> None:
    text = "there is no such thing"
    refused = refuse("not-found", text, "see: scaler status")
    other.answers |= dict.fromkeys(("pause", "resume", "drain", "destroy"), refused)
    other.answers["status"] = NIGHT
    for argv, meant in (
        (["pause", "linx", "large"], "linux"),
        (["resume", "lrage"], "large"),
        (["drain", "hosts/v1"], "hosts/vm1"),
        (["destroy", "linx.4"], "linux.4"),
    ):
        code, out, err = ask(*argv)
        assert (code, out) == (1, [])
        assert err == [f'{text} (did you mean "{meant}"?)', "→ see: scaler status"]
    assert ask("drain", "elsewhere")[2][0] == text


# --- drain, undrain -------------------------------------------------------------------------


def test_drain_says_what_is_still_there_or_that_it_may_be_switched_off(
    ask: Ask, other: FakeScaler
) -> None:
    other.answers["drain"] = {
        "order": order("hosts/vm1", "drain"),
        "runners": [],
        "machines": 2,
    }
    other.answers["status"] = status(rooms=[room("vm1", machines=2)])
    code, out, _ = ask("drain", "vm1")
    assert code == 0
    assert "take it back with: scaler undrain hosts/vm1" in out[0]
    assert out[1] == "still there: linux.1 (idle), 1 that makes an image"
    assert out[2] == "to wait until nothing is: scaler drain hosts/vm1 --wait"
    other.answers["drain"]["machines"] = 0
    assert ask("drain", "vm1")[1][1] == "nothing is left there: it is safe to switch off"
    assert other.asked("drain") == [{"host": "vm1", "now": False}] * 2


@pytest.mark.parametrize("rooms", [[], [room("vm1", state="down")]])
def test_drain_never_says_that_it_is_safe_where_it_is_not_known(
    ask: Ask, other: FakeScaler, rooms: list[Any]
) -> None:
    other.answers["drain"] = {
        "order": order("hosts/vm1", "drain"),
        "runners": [],
        "machines": None,
    }
    other.answers["status"] = status(rooms=rooms, runners=[])
    code, out, _ = ask("drain", "vm1")
    assert code == 0
    assert out[1].startswith("what is left there is not known")
    assert out[2:] == ["to wait until nothing is: scaler drain hosts/vm1 --wait"]
    assert "it is safe" not in "".join(out)


def test_waiting_ends_when_nothing_is_there_images_being_made_too(
    ask: Ask, other: FakeScaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_LOOK", 0.0)
    drained = {"since": NOW, "by": "ada"}
    steps = iter(
        [
            status(
                rooms=[room("vm1", machines=2, drained=drained)],
                runners=[runner(2, "busy", job="1001")],
                jobs=[job(1001, "running")],
            ),
            status(rooms=[room("vm1", machines=1, drained=drained)], runners=[]),
            status(rooms=[room("vm1", machines=0, drained=drained)], runners=[]),
        ]
    )
    other.answers |= {
        "drain": {"order": order("hosts/vm1", "drain"), "runners": [], "machines": 2},
        "status": lambda _: next(steps),
    }
    code, out, err = ask("drain", "vm1", "--wait")
    assert code == 0
    assert out[-1] == "nothing is left on hosts/vm1: it is safe to switch off"
    assert err == [
        "still there: linux.2 (busy, job 1001 build), 1 that makes an image",
        "still there: 1 that makes an image",
    ]


@pytest.mark.parametrize(
    ("rooms", "told"),
    [
        ([], "is not told of any more"),
        ([room("vm1")], "is not drained any more: someone took that back"),
        (
            [room("vm1", state="down", drained={"since": NOW, "by": ""})],
            "cannot be reached: whether it is empty is not known",
        ),
    ],
)
def test_waiting_never_says_that_it_is_safe_where_it_may_not_be(
    ask: Ask, other: FakeScaler, rooms: list[Any], told: str
) -> None:
    other.answers |= {
        "drain": {"order": order("hosts/vm1", "drain"), "runners": [], "machines": 1},
        "status": status(rooms=rooms, runners=[]),
    }
    code, out, err = ask("drain", "vm1", "--wait")
    assert code == 1
    assert told in "".join(err)
    assert "safe" not in "".join(out)


def test_ctrl_c_while_waiting_leaves_no_half_a_line(
    terminal: Callable[..., Terminal], other: FakeScaler
) -> None:
    there = room("vm1", machines=1, drained={"since": NOW, "by": "ada"})
    other.answers |= {
        "drain": {"order": order("hosts/vm1", "drain"), "runners": [], "machines": 1},
        "status": status(rooms=[there], runners=[]),
    }
    shown = terminal("drain", "vm1", "--wait", "--state-dir", str(other.folder))
    at = shown.wait_for("still there: 1 that makes an image")
    shown.type("\x03")
    assert shown.wait() != 0
    assert re.search(r"\r {34,}\r", shown.output[at:]), "what stood there is written over"
    assert "Traceback" not in shown.output


def test_undrain(ask: Ask, other: FakeScaler) -> None:
    other.answers["undrain"] = {"undrained": "hosts/vm1"}
    told = "hosts/vm1 is not drained any more: it takes new runners"
    assert ask("undrain", "vm1") == (0, [told], [])
    assert other.asked("undrain") == [{"host": "vm1"}]


@pytest.mark.parametrize(
    ("was", "state", "told"),
    [
        (False, "up", "was not drained: it takes new runners"),
        (
            True,
            "down",
            "is not drained any more: it takes new runners as soon as it can be reached",
        ),
        (True, "draining", "is not drained any more; its plugin drains it by itself: scaler why"),
        (True, None, "is not drained any more; no plugin tells of it now"),
    ],
)
def test_undrain_promises_nothing_that_does_not_hold(
    ask: Ask, other: FakeScaler, was: bool, state: str | None, told: str
) -> None:
    other.answers["undrain"] = {"undrained": "hosts/vm1", "was_drained": was, "state": state}
    code, out, _ = ask("undrain", "vm1")
    assert code == 0
    assert out[0].startswith(f"hosts/vm1 {told}")


def test_a_provisioner_without_rooms_is_called_by_its_name(ask: Ask, other: FakeScaler) -> None:
    other.answers["undrain"] = {"undrained": "vm/", "was_drained": True, "state": "up"}
    assert ask("undrain", "vm")[1] == ["vm is not drained any more: it takes new runners"]


# --- reload ---------------------------------------------------------------------------------


def test_reload_says_what_counts_now_and_what_after_a_restart(ask: Ask, other: FakeScaler) -> None:
    other.answers["reload"] = {
        "ok": True,
        "applied": ["profiles.linux.max_count: 4, was 2"],
        "restart": ["plugins.monitor.listen: it listens already"],
    }
    assert ask("reload")[:2] == (
        0,
        [
            "the settings were read anew",
            "  profiles.linux.max_count: 4, was 2",
            "what counts only after a restart:",
            "  plugins.monitor.listen: it listens already",
        ],
    )
    said = "plugins.monitor.tls: not read yet; it counts once it can be read, without a restart"
    other.answers["reload"] = {"ok": True, "applied": [], "restart": [said]}
    assert ask("reload")[1][1:] == ["what does not count yet:", f"  {said}"]
    other.answers["reload"] = {"ok": True, "applied": [], "restart": []}
    assert ask("reload")[1] == ["the settings were read anew: nothing changed"]


def test_a_reload_that_was_refused_tells_every_problem(ask: Ask, other: FakeScaler) -> None:
    text = "the settings are wrong: nothing has changed"
    problems = ["/etc/scaler.toml:3: scaler.tick: found 2", "/etc/scaler.toml:9: x: unknown"]
    other.answers["reload"] = refuse("settings", text, "mend the file", problems)
    code, out, err = ask("reload")
    assert (code, out) == (3, [])
    assert err == [text, *(f"  {each}" for each in problems), "→ mend the file"]


# --- what they share ------------------------------------------------------------------------

ANSWERS = {
    "pause": (["linux"], {"orders": []}),
    "resume": (["linux"], {"resumed": []}),
    "drain": (["vm1"], {"order": {}, "runners": [], "machines": 0}),
    "undrain": (["vm1"], {"undrained": "vm1"}),
    "reload": ([], {"ok": True}),
    "release": (["1"], {"runner": {}}),
    "destroy": (["1"], {"runner": {}, "gone": True}),
    "why": ([], {"found": []}),
}


@pytest.mark.parametrize("command", ANSWERS)
def test_each_can_answer_as_json_and_knows_no_more_than_it_is_told(
    ask: Ask, other: FakeScaler, command: str
) -> None:
    argv, answer = ANSWERS[command]
    other.answers[command] = answer
    code, out, _ = ask(command, *argv, "--json")
    assert code == 0
    assert json.loads("\n".join(out)) == answer
    other.answers[command] = {"novelty": [1]}
    assert ask(command, *argv)[0] == 0


@pytest.mark.parametrize("command", [*ANSWERS, "status"])
def test_an_option_that_is_not_known_is_exit_two_with_the_nearest(ask: Ask, command: str) -> None:
    code, out, err = ask(command, *ANSWERS.get(command, ([],))[0], "--jsno")
    assert (code, out) == (2, [])
    assert 'did you mean "--json"?' in err[-1]


def test_the_settings_say_which_scaler_is_meant(
    other: FakeScaler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scaler.toml").write_text("[scaler]\nstate_dir = 'state'\n[plugins.nowhere]\n")
    assert main(["status", "-c", str(tmp_path / "scaler.toml")]) == 0
    assert "all is well" in capsys.readouterr().out


def test_asking_imports_nothing_heavy(other: FakeScaler) -> None:
    code = (
        "import sys\nfrom scaler.cli.main import main\ncode = main(sys.argv[1:])\n"
        "heavy = {'trio', 'httpx', 'quart', 'asyncio', 'msgspec', 'pluggy', 'sqlite3'}\n"
        "sys.exit(code or ' '.join(heavy & set(sys.modules)) or 0)"
    )
    for command, (argv, answer) in ANSWERS.items():
        other.answers[command] = answer
        command_line = [command, *argv, "--state-dir", str(other.folder)]
        done = subprocess.run(
            [sys.executable, "-c", code, *command_line],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={**os.environ, "COLUMNS": "80"},
        )
        assert (done.returncode, done.stderr) == (0, ""), command
