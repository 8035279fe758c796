"""A whole file: what it becomes, and what is said of one that is wrong."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler import PluginError, Secret, SecretSource, SettingsError
from scaler.settings import load, look

if TYPE_CHECKING:
    from collections.abc import Callable

Bench = Any  # the fixture's class lives in conftest.py, which cannot be imported

GOOD = """
    [scaler]
    name = "host-1"
    state_dir = "state"
    tick = "1m30s"

    [plugins.queue]
    url = "https://example.org"
    token = { env = "TOKEN" }
    keep = "2K"

    [plugins.box]
    [plugins.cloud]
    enabled = false

    [profiles.linux]
    labels = ["a", "b"]
    target_count = 2
    boot_script = "boot.sh"
    resources = { memory = "4G", vcpus = 2, hugepages_1g = 0 }
    [profiles.linux.queue]
    pool = "linux"
"""


def test_everything_arrives_where_it_belongs(bench: Bench) -> None:
    (bench.folder / "boot.sh").touch()
    settings = bench.load(GOOD, environ={"TOKEN": "s3cret-token"})
    assert (settings.name, settings.tick, settings.log) == ("host-1", 90.0, "info")
    assert settings.state_dir == bench.folder / "state"
    assert settings.source_file == bench.file
    assert list(settings.plugins) == ["queue", "box"]
    queue = settings.plugins["queue"]
    assert (queue.url, queue.token, queue.keep) == (
        "https://example.org",
        Secret("s3cret-token"),
        2048,
    )
    assert settings.plugins["box"] is None
    linux = settings.profiles["linux"]
    assert (linux.labels, linux.target_count, linux.max_count) == (("a", "b"), 2, 2)
    assert dict(linux.resources) == {"memory": 4 << 30, "vcpus": 2, "hugepages_1g": 0}
    assert linux.boot_script == str(bench.folder / "boot.sh")
    assert (linux.source, linux.provisioners) == ("queue", ("box",))
    assert settings.own["queue"]["linux"].pool == "linux"
    assert dict(settings.own["box"]) == {"linux": None}
    assert settings.secrets == (Secret("s3cret-token"),)
    assert "s3cret" not in repr(settings)


def test_an_empty_file_is_a_scaler_with_nothing_to_do(bench: Bench) -> None:
    settings = bench.load("")
    assert settings.name
    assert (dict(settings.plugins), dict(settings.profiles)) == ({}, {})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("vm1", "vm1"),
        ("VM_1.example.org", "vm-1"),
        ("x" * 70, "x" * 50),
        ("__", "scaler"),
        ("-a-", "a"),
    ],
)
def test_the_name_defaults_to_the_hosts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert bench.load("").name == name


def test_three_mistakes_in_one_table_and_two_elsewhere_are_five_lines(bench: Bench) -> None:
    text = """
        [scaler]
        tik = "30s"

        [plugins.queue]
        url = 3
        intervall = "60s"
        keep = '''
        lots
        '''

        [plugins.box]

        [profiles.linux]
        target_count = 4
        max_count = 2
        [profiles.linux.queue]
        pool = "linux"
    """
    assert bench.problems(text) == [
        "2: scaler.tik: found an unknown key, wanted name, state_dir, tick, shutdown_grace, log, "
        'plugin_dir (did you mean "tick"?)',
        "5: plugins.queue.url: found 3, wanted a string",
        "6: plugins.queue.intervall: found an unknown key, wanted url, token, interval, keep "
        '(did you mean "interval"?)',
        '7: plugins.queue.keep: found "lots\\n", wanted a size with a unit, such as "512M" or "4G"',
        "15: profiles.linux.max_count: found 2, wanted target_count (4) or more",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = [\n", ":2: is not TOML: invalid value: b = ["),
        ("[p.x]\n  max_count =\n", ":2: is not TOML: invalid value: max_count ="),
        ("max_count = four\n", ":1: is not TOML: invalid value: max_count = four"),
        ('a = "x\n', ":1: is not TOML: illegal character '\\n': a = …"),
        ("token = ghp_0123456789\n", ":1: is not TOML: invalid value: token = …"),
        ("[a]\nb = 1\nb = 2\n", ":3: is not TOML: cannot overwrite a value: b = 2"),
        ("\n\n= 1", ":3: is not TOML: invalid statement: = 1"),
        (
            "[profiles.linux\n",
            ":1: is not TOML: expected ']' at the end of a table declaration: [profiles.linux",
        ),
    ],
)
def test_a_syntax_error_stands_alone(bench: Bench, text: str, said: str) -> None:
    bench.file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(bench.file)
    assert caught.value.problems == [f"{bench.file}{said}"]
    assert caught.value.exit_code == 3


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"x\.toml: cannot be read: No such file"):
        load(tmp_path / "x.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(SettingsError, match="is not text in UTF-8"):
        load(tmp_path / "latin.toml")


def test_wrong_kinds_of_table_are_told_together(bench: Bench) -> None:
    text = """
        scaler = 1
        profiles = 2
        plugins = 3
        profile = {}
    """
    assert bench.problems(text) == [
        "1: scaler: found 1, wanted a table",
        "2: profiles: found 2, wanted a table",
        "3: plugins: found 3, wanted a table",
        "4: profile: found an unknown key, wanted scaler, plugins, profiles "
        '(did you mean "profiles"?)',
    ]


def test_a_plugins_table_may_be_wrong_itself(bench: Bench) -> None:
    text = """
        [plugins]
        box = 3
        [plugins.watcher]
        enabled = "yes"
        colour = "red"
    """
    assert bench.problems(text) == [
        "2: plugins.box: found 3, wanted a table",
        '4: plugins.watcher.enabled: found "yes", wanted true or false',
        "5: plugins.watcher.colour: found an unknown key, wanted enabled",
    ]


def test_only_enabled_plugins_are_looked_at(bench: Bench) -> None:
    settings = bench.load("[plugins.queue]\nenabled = false\nnonsense = 1\n")
    assert dict(settings.plugins) == {}


def test_an_unknown_plugin_is_the_plugins_exit_code(bench: Bench) -> None:
    with pytest.raises(PluginError, match=r':1: plugins\.quue: .*did you mean "queue"') as caught:
        bench.load("[plugins.quue]\n")
    assert caught.value.exit_code == 4


def test_a_missing_plugin_dir_is_a_settings_error(bench: Bench) -> None:
    assert bench.problems('[scaler]\nplugin_dir = "nowhere"\n') == [
        f"2: scaler.plugin_dir: there is no folder {bench.folder / 'nowhere'}"
    ]
    assert bench.problems("[scaler]\nplugin_dir = 3\n") == [
        "2: scaler.plugin_dir: found 3, wanted a path, as a string"
    ]


@pytest.mark.parametrize("name", ["Host", "", "a.b", "-a", "x" * 51, "a\\n"])
def test_names_that_would_hurt_elsewhere_are_refused(bench: Bench, name: str) -> None:
    [problem] = bench.problems(f'[scaler]\nname = "{name}"\n')
    assert problem.startswith("2: scaler.name: found ")
    problems = bench.problems(f'[plugins.rest]\n[plugins.box]\n[profiles."{name}"]\n')
    assert len(problems) == 1
    assert "wanted lower-case letters" in problems[0]


def test_look_tells_enabled_plugins_without_importing(bench: Bench) -> None:
    bench.file.write_text('[scaler]\nplugin_dir = "."\n[plugins.a]\n[plugins.b]\nenabled = false\n')
    names, folder = look(bench.file)
    assert names == ["a"]
    assert folder is not None
    assert folder.samefile(bench.folder)


# --- secrets ------------------------------------------------------------------------------

SECRET = "[plugins.queue]\nurl = 'x'\ntoken = {}\n"


@pytest.fixture
def private(tmp_path: Path) -> Callable[..., Path]:
    def make(text: str | bytes = "from-a-file\n", mode: int = 0o600) -> Path:
        path = tmp_path / "token"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    return make


def test_a_secret_comes_from_a_file_beside_the_settings(
    bench: Bench, private: Callable[..., Path]
) -> None:
    private()
    settings = bench.load(SECRET.format('{ file = "token" }'))
    assert settings.plugins["queue"].token == Secret("from-a-file")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o777])
def test_a_file_that_others_can_open_is_refused(
    bench: Bench, private: Callable[..., Path], mode: int
) -> None:
    path = private(mode=mode)
    [problem] = bench.problems(SECRET.format('{ file = "token" }'))
    assert problem == (
        f"3: plugins.queue.token: {path} can be read or changed by others than its owner "
        f"(mode {mode:04o}), wanted 0600: chmod 600 {path}"
    )
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('"ghp_abc"', 'found a string, wanted { env = "NAME" } or { file = "PATH" }'),
        ("3", "found something else, wanted { env ="),
        ("{}", "found a table of something else, wanted { env ="),
        ('{ env = "A", file = "b" }', "found a table of something else"),
        ("{ env = 3 }", "found a table of something else"),
        ('{ env = "NOWHERE" }', "the environment has no variable NOWHERE"),
        ('{ env = "EMPTY" }', "the environment's variable EMPTY is empty"),
        ('{ file = "nowhere" }', "cannot be read: No such file"),
        ('{ file = "." }', "cannot be read: Is a directory"),
        ('{ file = "/dev/null" }', "/dev/null is not a file"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(
    bench: Bench, given: str, said: str
) -> None:
    [problem] = bench.problems(SECRET.format(given), environ={"EMPTY": ""})
    assert problem.startswith("3: plugins.queue.token: ")
    assert said in problem
    assert "ghp_abc" not in problem


def test_an_empty_or_binary_file_is_no_secret(bench: Bench, private: Callable[..., Path]) -> None:
    private("\n")
    assert "is empty" in bench.problems(SECRET.format('{ file = "token" }'))[0]
    private(b"\xff\xfe")
    assert "is not text" in bench.problems(SECRET.format('{ file = "token" }'))[0]


def test_a_source_reads_again_what_was_rotated(private: Callable[..., Path]) -> None:
    source = SecretSource(file=private("one"))
    assert source.read() == Secret("one")
    private("two")
    assert source.read() == Secret("two")


def test_the_value_of_an_unknown_key_is_never_shown(bench: Bench) -> None:
    [problem] = bench.problems('[plugins.queue]\nurl = "x"\ntokn = "ghp_abc"\n')
    assert "ghp_abc" not in problem
    assert 'did you mean "token"?' in problem


def test_what_is_nested_without_end_is_a_problem(bench: Bench) -> None:
    bench.file.write_text("a = " + "[" * 50_000 + "]" * 50_000)
    with pytest.raises(SettingsError, match=r"nested too deeply|too deep"):
        load(bench.file)


@pytest.mark.parametrize("depth", [50, 150, 300, 450])
def test_what_is_nested_deeply_is_placed_if_it_can_be(bench: Bench, depth: int) -> None:
    bench.file.write_text("a = " + "[" * depth + "]" * depth)
    with pytest.raises(SettingsError, match=r":1: a: found an unknown key|nested too deeply"):
        load(bench.file)


def test_a_key_of_very_many_parts_is_a_problem(bench: Bench) -> None:
    bench.file.write_text(".".join("a" * 3000) + " = 1")
    with pytest.raises(SettingsError, match=":1: a: found an unknown key"):
        load(bench.file)


def test_a_mark_at_the_start_of_the_file_is_no_mistake(bench: Bench) -> None:
    bench.file.write_bytes("\ufeff[scaler]\nname = 'x'\n".encode())
    assert load(bench.file)[0].name == "x"


@pytest.mark.parametrize("digits", ["1" * 5000, "0x" + "f" * 5000])
def test_a_number_of_thousands_of_digits_is_a_problem(bench: Bench, digits: str) -> None:
    bench.file.write_text(f"[scaler]\nname = {digits}\n")
    with pytest.raises(SettingsError, match=r"a very large number|no usable TOML"):
        load(bench.file)


def test_the_home_of_nobody_is_a_problem(bench: Bench) -> None:
    text = """
        [scaler]
        state_dir = "~nobody-at-all/x"
        [plugins.queue]
        url = "x"
        token = { file = "~nobody-at-all/x" }
    """
    first, second = bench.problems(text)
    assert first.startswith('2: scaler.state_dir: found "~nobody-at-all/x", wanted a path')
    assert second.startswith("5: plugins.queue.token: ")


def test_a_path_that_cannot_be_looked_at_is_no_file(bench: Bench) -> None:
    long = "x" * 300
    told = bench.problems(f"""
        [scaler]
        plugin_dir = "{long}"
    """)
    assert "there is no folder" in told[0]
    told = bench.problems(f"""
        [plugins.rest]
        [plugins.box]
        [profiles.x]
        boot_script = "{long}"
    """)
    assert "there is no file" in told[0]
