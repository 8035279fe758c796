"""Tokens that change while the Monitor serves: no good one is refused, and no other is taken."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler_monitor import plugin
from scaler_monitor.inplace import waiting
from scaler_monitor.serving.renewing import Files
from scaler_monitor.serving.tokens import Tokens, look
from scaler_monitor.settings import Config, Tls

from .reloading import Token, reload, status

ROUNDS = 12


async def test_c12_a_token_is_changed_and_no_good_one_is_ever_refused(
    serving: Any, tmp_path: Path
) -> None:
    old, asked = Token(tmp_path, "token0"), 0
    wrong: list[str] = []
    good = old.text

    async def ask() -> None:
        nonlocal asked
        async with served.client() as client:
            while not over.is_set():
                shown = good
                if await status(client, shown) in (401, 403):
                    wrong.append(shown)
                asked += 1

    over = trio.Event()
    async with serving(token=(old.source,)) as served, served.client() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            for number in range(1, ROUNDS):
                new = Token(tmp_path, f"token{number}")
                assert await status(client, new.text) == 403
                assert await reload(served, token=(old.source, new.source)) == []
                assert await status(client, new.text) not in (401, 403)
                assert await status(client, old.text) not in (401, 403)
                good, before = new.text, asked
                with trio.fail_after(5):
                    while asked < before + 4:  # noqa: ASYNC110 - until none shows the old one
                        await trio.sleep(0.001)
                assert await reload(served, token=(new.source,)) == []
                assert await status(client, old.text) == 403
                old = new
            over.set()
        assert not wrong
        assert await reload(served) == []
        assert await status(client, good) == 403


async def test_c12_a_rewritten_token_counts_at_once_on_a_reload(
    serving: Any, tmp_path: Path
) -> None:
    token = Token(tmp_path, "token")
    async with serving(token=(token.source,)) as served, served.client() as client:
        for _ in range(3):
            old = token.text
            token.write(secrets.token_hex(32))
            assert await status(client, old) not in (401, 403)  # nobody has looked yet
            await reload(served, token=(token.source,))
            assert await status(client, token.text) not in (401, 403)
            assert await status(client, old) == 403


async def test_c12_a_token_that_is_taken_out_waits_for_no_disk(
    serving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaked: whoever takes it out wants it refused now, whatever else hangs."""
    leaked, new = Token(tmp_path, "leaked"), Token(tmp_path, "new")
    hangs = threading.Event()
    monkeypatch.setattr(plugin, "PATIENCE", 0.1)
    async with serving(token=(leaked.source,)) as served, served.client() as client:
        assert await status(client, leaked.text) not in (401, 403)
        read = Files._read

        def slow(files: Files, config: Config) -> Any:
            found = read(files, config)
            hangs.wait(5)
            return found

        monkeypatch.setattr(Files, "_read", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.monitor._files.look)  # of what was before
            await trio.sleep(0.05)
            [told] = await reload(served, token=(new.source,))
            assert told == (
                f"plugins.monitor.token: {new.path}: not read within 0.1 s; it counts once it can"
                " be read, without a restart"
            )
            assert await status(client, leaked.text) == 403
            hangs.set()
        assert await status(client, leaked.text) == 403, "what was read before changes nothing"
        await served.monitor._files.look()
        assert await status(client, new.text) not in (401, 403)
        assert await status(client, leaked.text) == 403
        assert await reload(served, token=(new.source,)) == []


def test_files_of_certificates_that_were_not_read_are_told(tmp_path: Path) -> None:
    tls = Tls(cert=tmp_path / "cert", key=tmp_path / "key")
    [told] = waiting(Config(listen=("127.0.0.1:0",), tls=tls), 10)
    assert told.startswith("plugins.monitor.tls: not read within 10 s; it counts once")


async def test_a_token_that_is_just_being_written_is_still_good(
    serving: Any, tmp_path: Path, world: Any
) -> None:
    token = Token(tmp_path, "token")
    async with serving(token=(token.source,)) as served, served.client() as client:
        good = token.text
        token.write("")
        await served.monitor._files.look()
        assert await status(client, good) not in (401, 403)
        token.write(secrets.token_hex(32))
        await served.monitor._files.look()
        assert await status(client, token.text) not in (401, 403)
        assert await status(client, good) == 403
        assert world.reports[-1][1]
        good = token.text
        token.write("")
        for _ in range(2):
            await served.monitor._files.look()
        assert await status(client, good) == 403
        assert "is empty" in world.reports[-1][0]


def test_what_is_wrong_once_is_looked_at_again_soon(tmp_path: Path) -> None:
    token = Token(tmp_path, "token")
    tokens, good = Tokens([token.source]), token.text

    def found(text: str) -> tuple[int, bool, bool]:
        """How much is wrong, whether to look again soon, and whether the first token is good."""
        token.write(text)
        return len(tokens.take(look([token.source]))), tokens.doubtful, tokens.matches(good)

    assert found(good) == (0, False, True)
    assert found("ChangeMe") == (0, True, True)
    assert found(good) == (0, False, True)
    assert found("ChangeMe") == (0, True, True)
    assert found("ChangeMe") == (1, False, False)  # it is known to be bad
    assert found(good) == (0, False, True)
    assert found(good[::-1]) == (0, False, False)
    token.write("ChangeMe")
    assert not Tokens([token.source]).matches("ChangeMe")


def test_no_token_is_shown_by_what_is_known_of_it(tmp_path: Path) -> None:
    token = Token(tmp_path, "token")
    [found] = look([token.source])
    assert token.text not in repr(found)
    assert "known" not in repr(found)
