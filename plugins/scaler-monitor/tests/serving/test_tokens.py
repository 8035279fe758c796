"""D14: tokens: hard to guess, compared without telling anything, changed without a restart."""

from __future__ import annotations

import ast
import hmac
import secrets
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import scaler_monitor
from scaler import SecretSource, SettingsError, load_settings
from scaler_monitor.serving import renewing
from scaler_monitor.serving.tokens import SHORTEST, Tokens, weak
from scaler_monitor.settings import Config

ONE = "6f1c2a9e0b7d4835a1e2c3d4f5061728" * 2
TWO = "Ünicode-" + "0a9b8c7d6e5f41230918273645abcdef"


def kept(path: Path, token: str) -> SecretSource:
    path.touch(0o600)
    path.write_text(token)
    return SecretSource(file=path)


def of(*tokens: str) -> Tokens:
    environ = {f"T{number}": token for number, token in enumerate(tokens)}
    return Tokens(SecretSource(env=name, environ=environ) for name in environ)


def test_d14_any_of_them_is_good_and_nothing_else() -> None:
    tokens = of(ONE, TWO)
    assert tokens
    assert tokens.matches(ONE)
    assert tokens.matches(TWO)
    for wrong in ("", ONE[:-1], ONE + "x", ONE.upper(), f" {ONE}", ONE + TWO, "é" * 64, "\udcff"):
        assert not tokens.matches(wrong)
    assert not tokens.matches("x" * 1_000_000)
    none = Tokens()
    assert not none
    assert not none.matches("")


@given(st.text())
def test_d14_whatever_is_shown(text: str) -> None:
    assert not of(ONE, TWO).matches(text)


def test_d14_every_token_is_compared_whatever_the_first_one_gives(monkeypatch: Any) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def seen(first: bytes, second: bytes) -> bool:
        compared.append((first, second))
        return real(first, second)

    tokens = of(ONE, TWO)
    monkeypatch.setattr("scaler_monitor.serving.tokens.hmac.compare_digest", seen)
    for shown in (ONE, TWO, "x", "x" * 9999):
        compared.clear()
        tokens.matches(shown)
        assert len(compared) == 2
        assert {len(each) for pair in compared for each in pair} == {32}  # never their own lengths


def test_d14_no_secret_is_compared_with_equals_signs() -> None:
    """What is revealed is only handed on."""
    for path in Path(scaler_monitor.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                assert "reveal" not in ast.unparse(node), path
                assert "digest" not in ast.unparse(node), path


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("ChangeMe", "that can be guessed"),
        ("change-me-" * 4, "that can be guessed"),
        ("CHANGE_ME" + "0123456789abcdef" * 2, "that can be guessed"),
        ("x" * 64, "that can be guessed"),
        ("abcabc" * 10, "that can be guessed"),
        ("6f1c2a9e0b7d4835", "16 bytes"),
        ("6f1c2a9e0b7d4835a1e2c3d4f506172", "31 bytes"),
        ("6f1c2a9e0b7d4835a1e2c3d4f506é", "30 bytes"),
    ],
)
def test_d14_a_weak_token_is_a_settings_error(tmp_path: Path, token: str, found: str) -> None:
    path = tmp_path / "token"
    kept(path, token)
    text = f"{path}: found {found if found[0].isdigit() else 'one ' + found}"
    with pytest.raises(ValueError, match=r"^token: ") as caught:
        Config(token=(SecretSource(file=path),))
    assert text in str(caught.value)
    assert "openssl rand -hex 32" in str(caught.value)
    assert token not in str(caught.value)


def test_random_tokens_are_good() -> None:
    for _ in range(200):
        assert weak(secrets.token_hex(SHORTEST // 2)) == ""
        assert weak(secrets.token_urlsafe(SHORTEST)) == ""


@pytest.mark.parametrize("many", [False, True])
def test_d14_the_settings_file_names_one_or_several(tmp_path: Path, many: bool) -> None:
    kept(tmp_path / "token", ONE)
    one, two = '{ env = "MONITOR_API_TOKEN" }', '{ file = "token" }'
    file = tmp_path / "scaler.toml"
    told = f"token = [{one}, {two}]" if many else f"token = {one}"
    file.write_text(f'[scaler]\nname = "here"\n[plugins.monitor]\n{told}\n')
    settings, _ = load_settings(file, environ={"MONITOR_API_TOKEN": TWO})
    tokens = Tokens(settings.plugins["monitor"].token)
    assert tokens.matches(TWO)
    assert tokens.matches(ONE) is many
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ={"MONITOR_API_TOKEN": "ChangeMe"})
    assert "the environment's variable MONITOR_API_TOKEN: found one that can be guessed" in str(
        caught.value
    )


async def test_d14_a_new_token_counts_and_the_old_one_does_not(
    serving: Any, world: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(renewing, "EVERY", 0.05)
    path, other = tmp_path / "token", tmp_path / "other"
    sources = (kept(path, ONE), kept(other, TWO))

    async def status(client: Any, token: str) -> int:
        # Reservations cannot be made here: whoever gets as far as that has shown a good token
        sent = {"Authorization": f"Bearer {token}".encode()}
        answer = await client.delete("/policy/override", headers=sent)
        return int(answer.status_code)

    async with serving(token=sources) as served, served.client() as client:
        assert await status(client, ONE) not in (401, 403)
        assert await status(client, TWO) not in (401, 403)
        new = ONE[::-1]
        path.write_text(new)
        with trio.fail_after(5):
            while await status(client, new) == 403:  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert await status(client, ONE) == 403
        assert await status(client, TWO) not in (401, 403)
        for wrong, text in (("ChangeMe", "that can be guessed"), ("", "is empty")):
            path.write_text(wrong)
            with trio.fail_after(5):
                while text not in world.reports[-1][0]:  # noqa: ASYNC110
                    await trio.sleep(0.02)
            assert not world.reports[-1][1]
            assert not wrong or wrong not in world.reports[-1][0]
            assert await status(client, new) == 403
            assert await status(client, wrong or "x") == 403
            assert await status(client, TWO) not in (401, 403)
        path.write_text(new)
        with trio.fail_after(5):
            while not world.reports[-1][1]:  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert await status(client, new) not in (401, 403)
