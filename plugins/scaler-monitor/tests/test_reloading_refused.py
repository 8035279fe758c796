"""A certificate that is refused: a reload does not say that it counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from scaler import Running, SettingsChange
from scaler_monitor.inplace import refused
from scaler_monitor.settings import Config, Tls

from .reloading import reload
from .test_reloading import shown, trusting
from .test_whole import scaler

REFUSED = "; the old one is still shown; it counts once its files are good, without a restart"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> Tls:
    made = Tls(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    put(made, authority)
    return made


def put(tls: Tls, authority: trustme.CA) -> None:
    put_cert(tls, key := authority.issue_cert("127.0.0.1"))
    tls.key.touch(0o600)
    tls.key.chmod(0o600)
    tls.key.write_bytes(key.private_key_pem.bytes())


def put_cert(tls: Tls, issued: trustme.LeafCert) -> None:
    tls.cert.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))


def another(tls: Tls, authority: trustme.CA) -> None:
    put_cert(tls, authority.issue_cert("127.0.0.1"))


def half(tls: Tls, _authority: trustme.CA) -> None:
    tls.cert.write_bytes(tls.cert.read_bytes()[:300])


def empty(tls: Tls, _authority: trustme.CA) -> None:
    tls.cert.write_bytes(b"")


def half_a_key(tls: Tls, _authority: trustme.CA) -> None:
    tls.key.write_bytes(tls.key.read_bytes()[:100])


def readable_by_all(tls: Tls, _authority: trustme.CA) -> None:
    tls.key.chmod(0o644)


async def test_a_key_that_gets_better_rights_counts_with_the_next_reload(
    tmp_path: Path, tls: Tls, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    words = f'listen = ["127.0.0.1:0"]\ntls = {{ cert = "{tls.cert}", key = "{tls.key}" }}'
    async with scaler(tmp_path, words) as running:
        put(tls, authority)
        tls.key.chmod(0o644)
        applied, [told] = await reloaded(running)
        assert applied == []
        assert "chmod" in told
        assert "new settings: not yet: plugins.monitor.tls: " in caplog.text
        tls.key.chmod(0o600)
        assert await reloaded(running) == (["plugins.monitor.tls"], [])


@pytest.mark.parametrize("spoil", [another, half, empty, half_a_key, readable_by_all])
async def test_what_is_refused_is_not_said_to_count(
    tmp_path: Path,
    tls: Tls,
    authority: trustme.CA,
    spoil: Callable[[Tls, trustme.CA], None],
) -> None:
    words = f'listen = ["127.0.0.1:0"]\ntls = {{ cert = "{tls.cert}", key = "{tls.key}" }}'
    async with scaler(tmp_path, words) as running:
        spoil(tls, authority)
        applied, later = await reloaded(running)
        assert applied == []
        assert [each.partition(": ")[0] for each in later] == ["plugins.monitor.tls"]
        assert later[0].endswith(REFUSED)
        assert f"{tmp_path}/" in later[0]
        put(tls, authority)
        assert await reloaded(running) == (["plugins.monitor.tls"], [])


async def reloaded(running: Running) -> tuple[list[str], list[str]]:
    """What a reload says of what counts, and of what does not."""
    with trio.fail_after(8):
        became = await running.reload()
    assert became.ok
    return list(became.applied), list(became.restart)


async def test_it_is_told_as_long_as_it_is_so(
    serving: Any, tls: Tls, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving("127.0.0.1:0", tls=tls) as served:
        another(tls, authority)
        [told] = await reload(served, tls=tls)
        # The answer takes the place of the one before, also where a profile was what changed.
        ask = served.monitor.on_settings_changed
        assert await ask(SettingsChange(changed=("linux",))) == [told]
        put(tls, authority)
        await served.monitor._files.look()
        assert await ask(SettingsChange()) == []


def test_where_no_certificate_is_wanted_none_is_waited_for(tls: Tls) -> None:
    why = f"tls: {tls.cert} is not a file"
    assert refused(Config(), why) == []
    assert refused(Config(tls=tls), "") == []
    [told] = refused(Config(tls=tls), why)
    assert told.startswith(f"plugins.monitor.tls: {tls.cert} is not a file; it counts once")


@pytest.mark.parametrize("name", ["cert", "key"])
async def test_a_pipe_is_refused_at_once_and_holds_nothing_up(
    serving: Any, tls: Tls, authority: trustme.CA, name: str
) -> None:
    trust = trusting(authority)
    path = getattr(tls, name)
    async with serving("127.0.0.1:0", tls=tls) as served:
        first = await shown(served, trust)
        path.unlink()
        os.mkfifo(path, 0o600)
        with unblocked(path):
            [told] = await reload(served, tls=tls)
        assert told == f"plugins.monitor.tls: {path} is not a file{REFUSED}"
        assert await shown(served, trust) == first
        path.unlink()
        put(tls, authority)
        assert await reload(served, tls=tls) == []
        assert await shown(served, trust) != first


@contextmanager
def unblocked(pipe: Path) -> Iterator[None]:
    """Let go of a thread that waits for a writer: it would hold up the end of the tests."""
    try:
        yield
    finally:
        with suppress(OSError):  # nobody waits
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
