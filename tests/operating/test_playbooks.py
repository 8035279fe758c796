"""The pages for who is woken at night: each is played through, and followed to the letter."""

from __future__ import annotations

import faulthandler
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.ledger.books import asked, old_ledger
from tests.operating.playing import play, play_section, same
from tests.operating.stage import Stage

from scaler_libvirt.testing import NO_LIBVIRTD, PrivateLibvirtd

pytestmark = pytest.mark.operating

NEW_TOKEN = "ghp_anew0000000000000000000000000000000000"
UPGRADE_COPY = "ledger.sqlite3.v1-20261122T175412Z"  # as the page calls it
GUESTS = ("--boot", "0.3", "--poll", "5")

SETTINGS = """
[scaler]
name = "host-1"
state_dir = "/var/lib/scaler"
tick = "1s"

[plugins.github]
url = "{url}"
token = {{ file = "/etc/scaler/secrets/github" }}

[plugins.actions-queue]

[plugins.libvirt]
{libvirt}

[plugins.monitor]
listen = ["127.0.0.1:{port}"]

[profiles.linux]
target_count = {target}
max_count = {most}
resources = {{ memory = "1G", vcpus = 1 }}
"""


@pytest.fixture(autouse=True)
def has_its_own_limits() -> None:
    faulthandler.cancel_dump_traceback_later()  # each step has one, and all take a minute or two


def settings(stage: Stage, port: int, *, libvirt: str = "", target: int = 0, most: int = 3) -> str:
    url = stage.github.url
    return SETTINGS.format(url=url, port=port, libvirt=libvirt, target=target, most=most)


def fetch(port: int, path: str) -> tuple[int, str]:
    """What the Monitor answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(port: int, beginning: str) -> list[float]:
    """The values of the lines of /metrics that begin so."""
    text = fetch(port, "/metrics")[1]
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(beginning)]


def busy(stage: Stage) -> int:
    found = [each for each in stage.status()["runners"] if each["state"] == "busy"]
    return len(found)


def start(stage: Stage) -> None:
    """Have the service started, and its source listen."""
    said, code = stage.type("systemctl start scaler")
    assert code == 0, said
    stage.until(
        lambda: (
            {("actions-queue", True)}
            <= {(each["plugin"], each["ok"]) for each in stage.status()["plugins"]}
        )
    )


def test_when_a_token_expires(free_port: int) -> None:
    with Stage(*GUESTS, "--work", "30") as stage:
        stage.settings(settings(stage, free_port, target=1))
        degraded = 'scaler_degraded{plugin="actions-queue"'

        def is_revoked() -> None:
            start(stage)
            stage.until(lambda: [each["state"] for each in stage.status()["runners"]] == ["idle"])
            stage.github.tell("jobs", scale_set="linux", count=1)
            stage.until(lambda: busy(stage) == 1 and len(stage.status()["runners"]) == 2)
            assert fetch(free_port, "/readyz")[0] == 200
            assert metric(free_port, degraded) == [0.0]
            stage.github.tell("tokens/revoke", text=stage.github.token)
            stage.github.tell("tokens/expire")

        def is_pasted() -> None:
            code, text = fetch(free_port, "/readyz")
            assert code == 503
            assert "the token is wrong or has expired" in json.loads(text)["problems"][0]["text"]
            assert metric(free_port, degraded) == [1.0]
            stage.github.tell("tokens/add", text=NEW_TOKEN)
            stage.github.tell("jobs", scale_set="linux", count=1)
            Path(stage.here("/etc/scaler/secrets/github.new")).write_text(NEW_TOKEN + "\n")

        pid = 0

        def both() -> None:
            nonlocal pid
            is_revoked()
            pid = stage.status()["pid"]

        does = {"the token is revoked": both, "the token is pasted": is_pasted}
        play(stage, "when-a-token-expires.md", does)
        assert fetch(free_port, "/readyz")[0] == 200
        assert metric(free_port, degraded) == [0.0]
        stage.until(
            lambda: all(job["state"] == "completed" for job in stage.github.world()["jobs"])
        )
        assert stage.status()["pid"] == pid, "it was not started anew"


def test_when_an_upgrade_went_wrong(free_port: int) -> None:
    with Stage(*GUESTS, "--work", "1") as stage:
        stage.settings(settings(stage, free_port, target=1))
        ledger = stage.state / "ledger.sqlite3"

        def start_idle() -> None:
            start(stage)
            stage.until(lambda: [each["state"] for each in stage.status()["runners"]] == ["idle"])

        def new_and_old() -> None:
            old_ledger(stage.state)
            for table in ("runners", "jobs", "demand", "grants", "facts"):  # another machine's
                asked(ledger, f"DELETE FROM {table}")
            start_idle()
            (copy,) = stage.state.glob("ledger.sqlite3.v1-*")
            stage.names[UPGRADE_COPY] = copy.name
            stage.type("systemctl stop scaler")
            asked(ledger, "UPDATE meta SET value = ? WHERE key = 'written_by'", '"0.2.0"')
            asked(ledger, "PRAGMA user_version = 3")
            assert stage.type("systemctl start scaler")[1] == 1

        def way_back() -> None:
            play_section(stage, "upgrade.md", "The way back", without="/opt/scaler")
            stage.type("cd /etc/scaler")
            kept = stage.state / "away/ledger.sqlite3"
            assert asked(kept, "PRAGMA user_version") == [(3,)], "the newer one is kept"
            stage.until(lambda: stage.status()["ok"])
            (runner,) = stage.status()["runners"]
            assert runner["id"] > 1_000_000

        def setting() -> None:
            stage.type("systemctl stop scaler")
            stage.type("cp scaler.toml good.toml; echo 'colour = 1' >> scaler.toml")
            assert stage.type("systemctl start scaler")[1] == 1
            assert (
                "scaler.toml:"
                in stage.type("journalctl _SYSTEMD_UNIT=scaler.service -o cat -n 1")[0]
            )

        def mended() -> None:
            stage.type("mv good.toml scaler.toml")

        def rubbish() -> None:
            stage.type("systemctl stop scaler")
            ledger.write_bytes(b"rubbish" * 5000)
            start_idle()

        play(
            stage,
            "when-an-upgrade-went-wrong.md",
            {
                "the new scaler has been here, and the old one is back": new_and_old,
                "the way back is gone": way_back,
                "a setting is not known": setting,
                "the line is gone": mended,
                "the ledger is rubbish": rubbish,
            },
        )
        stage.github.tell("jobs", scale_set="linux", count=1)
        stage.until(lambda: stage.github.world()["jobs"][0]["state"] == "completed")


HOSTS = """
hosts = [
  {{ name = "vm1", uri = "{one}", memory = "2G", vcpus = 2 }},
  {{ name = "vm2", uri = "{two}", memory = "2G", vcpus = 2 }},
]
"""


def test_when_a_host_went_down(free_port: int) -> None:
    if NO_LIBVIRTD:
        pytest.fail(NO_LIBVIRTD, pytrace=False)
    # (guests of the simulator's do not go with their machines: a job lasts until it is told)
    with (
        PrivateLibvirtd() as one,
        PrivateLibvirtd() as two,
        Stage(*GUESTS, "--work", "1000") as stage,
    ):
        hosts = HOSTS.format(one=one.uri, two=two.uri)
        stage.settings(settings(stage, free_port, libvirt=hosts, most=4))
        stage.names["/run/libvirt/libvirt-sock"] = str(two.socket)
        up = 'scaler_room_up{plugin="libvirt",room="vm2"}'

        def there() -> set[str]:
            return {each["name"] for each in stage.status()["runners"] if each["room"] == "vm2"}

        def goes_down() -> None:
            start(stage)
            stage.github.tell("jobs", scale_set="linux", count=4)
            stage.until(lambda: busy(stage) == 4)
            assert metric(free_port, up) == [1.0]
            two.kill()

        def fails_its_jobs() -> None:
            assert metric(free_port, up) == [0.0]
            assert metric(free_port, "scaler_drained_seconds")
            assert fetch(free_port, "/readyz")[0] == 503
            assert len(there()) == 2, "what stands there is unknown, and not made anew"
            status = stage.status()
            lost = {each["job"] for each in status["runners"] if each["room"] == "vm2"}
            for name in there():
                stage.github.tell("runners/offline", name=name)
            for job in lost:
                stage.github.tell("jobs/finish", job=int(job), result="failed")
            stage.github.tell("jobs", scale_set="linux", count=1)

        def comes_back() -> None:
            two.start()

        play(
            stage,
            "when-a-host-went-down.md",
            {
                "the host goes down": goes_down,
                "GitHub fails its jobs, and another waits": fails_its_jobs,
                "the host is back": comes_back,
            },
        )
        stage.until(lambda: busy(stage) == 3)
        assert metric(free_port, up) == [1.0]


HERE = 'hosts = [{ name = "vm1", uri = "test:///default", memory = "3G", vcpus = 8 }]'


def test_when_jobs_wait(free_port: int) -> None:
    with Stage(*GUESTS, "--work", "1000") as stage:
        stage.settings(settings(stage, free_port, libvirt=HERE, most=1))

        def told(command: str) -> str:
            said, code = stage.type(command)
            assert code == 0, said
            return said

        def full() -> None:
            start(stage)
            stage.github.tell("jobs", scale_set="linux", count=1)
            stage.until(lambda: busy(stage) == 1)
            stage.github.tell("jobs", scale_set="linux", count=1)

        def pauses() -> None:
            stage.until(lambda: busy(stage) == 2)  # the page has mended it
            told("scaler pause linux")

        def drains() -> None:
            wants("target_count = 0", "target_count = 3")
            told("scaler drain vm1")

        def wants(before: str, after: str) -> None:
            path = stage.etc / "scaler.toml"
            text = path.read_text()
            assert before in text
            path.write_text(text.replace(before, after))
            told("scaler reload")

        def too_large() -> None:
            wants('memory = "1G"', 'memory = "64G"')
            for each in stage.github.world()["jobs"]:
                stage.github.tell("jobs/finish", job=each["request_id"])

        def smaller() -> None:
            path = stage.etc / "scaler.toml"
            path.write_text(path.read_text().replace('"64G"', '"1G"'))

        play(
            stage,
            "when-jobs-wait.md",
            {
                "there are more jobs than runners": full,
                "somebody paused it": pauses,
                "somebody drained it": drains,
                "machines are larger than the host": too_large,
                "somebody made them smaller again": smaller,
            },
        )


@pytest.mark.parametrize(
    ("shown", "seen", "equal"),
    [
        ("one  two", "one two", True),
        ("one\n  two", "one two\n", True),
        ("one", "one two", False),
        ("one …", "one two three", True),
        ("up 5s · 0.1.0", "up 1h05m07s · 0.2.1", True),
        ("up 5s", "up five", False),
        ("since 17:20 UTC (4 min ago)", "since 09:01 UTC (12 s ago)", True),
        ("version 1", "version 2", False),
        ("127.0.0.1:8000", "127.0.0.2:8000", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, seen: str, equal: bool) -> None:
    assert same(shown, seen) == equal
