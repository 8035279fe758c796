"""Whose a profile is: who registers its runners and who makes its machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scaler.loading import find, implementing

if TYPE_CHECKING:
    from pathlib import Path

Bench = Any


def test_the_only_ones_that_can_do_it_do_it(bench: Bench) -> None:
    settings = bench.load("[plugins.watcher]\n[plugins.rest]\n[plugins.box]\n[profiles.a]\n")
    profile = settings.profiles["a"]
    assert (profile.source, profile.provisioners) == ("rest", ("box",))
    assert {name: list(own) for name, own in settings.own.items()} == {
        "watcher": [],
        "rest": ["a"],
        "box": ["a"],
    }


def test_tables_choose_and_provisioners_keep_the_files_order(bench: Bench) -> None:
    settings = bench.load("""
        [plugins.queue]
        url = "x"
        [plugins.rest]
        [plugins.box]
        [plugins.cloud]
        [profiles.a]
        rest = {}
        cloud = {}
        box = {}
        [profiles.b.queue]
        pool = "p"
        [profiles.b.box]
    """)
    a, b = settings.profiles["a"], settings.profiles["b"]
    assert (a.source, a.provisioners) == ("rest", ("cloud", "box"))
    assert (b.source, b.provisioners) == ("queue", ("box",))
    assert settings.own["queue"]["b"].pool == "p"


ALL = "[plugins.queue]\nurl = 'x'\n[plugins.rest]\n[plugins.box]\n"  # four lines


def test_one_that_serves_only_where_it_is_named_does_not_compete(bench: Bench) -> None:
    shy = type("Shy", (bench.classes["rest"],), {"only_where_named": True})
    text = ALL + "[profiles.a]\nqueue = { pool = 'p' }\n[profiles.b]\nrest = {}\n"
    profiles = bench.load(text, extra={"rest": shy}).profiles
    assert (profiles["a"].source, profiles["b"].source) == ("queue", "rest")
    alone = bench.load("[plugins.rest]\n[plugins.box]\n[profiles.a]\n", extra={"rest": shy})
    assert alone.profiles["a"].source == "rest"
    beside = "[plugins.other]\n[plugins.rest]\n[plugins.box]\n[profiles.a]\n"
    other = bench.load(beside, extra={"rest": shy, "other": bench.classes["rest"]})
    assert other.profiles["a"].source == "other"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            ALL + "[profiles.a]\nqueue = { pool = 'p' }\nrest = {}\n",
            "5: profiles.a: found the tables of two sources, queue and rest, wanted one of them",
        ),
        (
            ALL + "[profiles.a]\n",
            "5: profiles.a: found several plugins that could be its source, "
            "wanted [profiles.a.queue] or [profiles.a.rest]",
        ),
        (
            "[plugins.box]\n[profiles.a]\n",
            "2: profiles.a: found no enabled plugin that could be its source, "
            "wanted a plugin that registers its runners: enable one, "
            "such as [plugins.actions-queue]",
        ),
        (
            "[plugins.rest]\n[profiles.a]\n",
            "2: profiles.a: found no enabled plugin that could be its provisioner, "
            "wanted a plugin that makes its machines: enable one, such as [plugins.box]",
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[profiles.a.cloud]\n",
            "3: profiles.a.cloud: found a table of the plugin cloud, which is not enabled, "
            "wanted [plugins.cloud]",
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[profiles.a.boxx]\n",
            "3: profiles.a.boxx: found a table of an unknown plugin, "
            'wanted an enabled one (rest, box) (did you mean "box"?)',
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[profiles.a]\nbox = 3\n",
            "4: profiles.a.box: found 3, wanted a table",
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[profiles.a.box]\nimage = 3\n",
            "4: profiles.a.box.image: found an unknown key, wanted an empty table",
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[plugins.watcher]\n[profiles.a.watcher]\n",
            "4: profiles.a.watcher: the plugin watcher has no settings for profiles",
        ),
        (
            "[plugins.queue]\nurl = 'x'\n[plugins.box]\n[profiles.a]\n",
            "4: profiles.a.queue.pool: found nothing, wanted a string",
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[profiles.a]\nlables = ['x']\n",
            "4: profiles.a.lables: found an unknown key, wanted labels, target_count, max_count, "
            "start_timeout, reserve_timeout, max_lifetime, hold_failed, boot_script, resources "
            '(did you mean "labels"?)',
        ),
        (
            "[plugins.rest]\n[plugins.box]\n[profiles]\na = 3\n",
            "4: profiles.a: found 3, wanted a table",
        ),
    ],
)
def test_what_is_wrong_is_said_once(bench: Bench, text: str, said: str) -> None:
    assert bench.problems(text) == [said]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("target_count = -1", "target_count: found -1, wanted 0 or more"),
        ("max_count = -1", "max_count: found -1, wanted 0 or more"),
        ("target_count = true", "target_count: found true, wanted a whole number"),
        ("target_count = 1.0", "target_count: found 1.0, wanted a whole number"),
        ('start_timeout = "0s"', 'start_timeout: found "0s", wanted more than 0s'),
        (
            "start_timeout = 5",
            'start_timeout: found 5, wanted a duration with a unit, such as "30s" or "1h30m"',
        ),
        ("labels = ['']", 'labels[0]: found "", wanted one that is not empty'),
        ("labels = 'x'", 'labels: found "x", wanted a list, each a string'),
        (
            "resources = { memory = 'big' }",
            'resources.memory: found "big", wanted a whole number, or a size such as "4G"',
        ),
        (
            "resources = { vcpus = 1.5 }",
            'resources.vcpus: found 1.5, wanted a whole number, or a size such as "4G"',
        ),
        (
            "resources = { memory = 4096 }",
            'resources: memory is 4096 bytes: write a unit ("4096M")',
        ),
        (
            "resources = { memory = '1023K' }",
            'resources: memory is 1047552 bytes: write a unit (such as "4G")',
        ),
        (
            "resources = { vcpus = -1 }",
            "resources.vcpus: found -1, wanted one that is not negative",
        ),
    ],
)
def test_every_key_is_checked(bench: Bench, line: str, said: str) -> None:
    text = f"[plugins.rest]\n[plugins.box]\n[profiles.a]\n{line}\n"
    assert bench.problems(text) == [f"4: profiles.a.{said}"]


@pytest.mark.parametrize("memory", ["0", "'1M'", "4294967296"])
def test_memory_is_none_or_enough(bench: Bench, memory: str) -> None:
    text = "[plugins.rest]\n[plugins.box]\n[profiles.a]\nresources = { memory = %s }\n"
    assert "memory" in bench.load(text % memory).profiles["a"].resources


def test_who_could_be_enabled_is_read_off_sources(tmp_path: Path) -> None:
    (tmp_path / "maker.py").write_text(
        "raise SystemExit  # nothing is imported for a hint\n"
        "class Maker:\n    async def provision_runner(self, runner, registration): ...\n"
    )
    known = find(tmp_path, {"plain": object})
    ours = ("", "scaler-github", "scaler-libvirt", "scaler-monitor")
    known = {name: found for name, found in known.items() if found[0].dist in ours}
    assert implementing("provision_runner", known) == ["libvirt", "maker"]
    assert implementing("register_runner", known) == ["actions-queue", "github"]
    assert implementing("no_such_hook", known) == []


def test_a_boot_script_must_be_there(bench: Bench) -> None:
    text = "[plugins.rest]\n[plugins.box]\n[profiles.a]\nboot_script = 'boot.sh'\n"
    assert bench.problems(text) == [
        f"4: profiles.a.boot_script: there is no file {bench.folder / 'boot.sh'}"
    ]
