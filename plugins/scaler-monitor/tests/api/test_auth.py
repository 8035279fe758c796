"""The token (D14, D15)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler import SecretSource
from scaler_monitor.api import auth
from scaler_monitor.errors import Failure
from scaler_monitor.serving.tokens import Tokens

TOKEN = "7d0a41c6f2b93e85x" * 3
OTHER = "schlüssel-5f1c0e9b77-für-zwei-" * 2


def tokens(*texts: str) -> Tokens:
    environ = {str(number): text for number, text in enumerate(texts)}
    return Tokens(SecretSource(env=name, environ=environ) for name in environ)


BOTH = tokens(TOKEN, OTHER)


def status(*headers: str, good: Tokens = BOTH) -> int:
    """200 where a request with these headers passes."""
    try:
        auth.check(headers, good.matches)
    except Failure as failure:
        return failure.status
    return 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("spaces", [" ", "  "])
def test_d15_every_spelling_of_the_scheme(scheme: str, spaces: str) -> None:
    assert status(f"{scheme}{spaces}{TOKEN}") == 200


def test_d14_any_of_the_tokens_is_good() -> None:
    as_decoded = OTHER.encode().decode("latin-1")
    assert status(f"Bearer {as_decoded}") == 200
    assert status(f"Bearer {TOKEN}", good=tokens(OTHER, TOKEN)) == 200
    assert status(f"Bearer {TOKEN}", good=tokens(OTHER)) == 403


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        (TOKEN,),
        (f"Basic {TOKEN}",),
        (f"Bearer{TOKEN}",),
        (f"Bearer\t{TOKEN}",),
        (f"Bearer\xa0{TOKEN}",),
        (f"Token Bearer {TOKEN}",),
        (f"Bearer {TOKEN} {TOKEN}",),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        (f"Bearer {TOKEN}", "Bearer x"),
        (f"Bearer {TOKEN}", ""),
    ],
    ids=range(14),
)
def test_d15_missing_or_odd_is_a_401(headers: tuple[str, ...]) -> None:
    assert status(*headers) == 401


@pytest.mark.parametrize(
    "token",
    [
        TOKEN[:-1],
        TOKEN + "x",
        TOKEN.upper(),
        OTHER[:-1].encode().decode("latin-1"),
        "é",
        "\u20ac",
        "x" * 100_000,
        f'"{TOKEN}"',
        f"{TOKEN},Bearer",
    ],
    ids=range(9),
)
def test_d14_wrong_is_a_403(token: str) -> None:
    assert status(f"Bearer {token}") == 403


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_d14_nothing_else_is_good_and_nothing_breaks(text: str) -> None:
    assert status(text) in (401, 403)
    assert status(f"Bearer {text}") in (401, 403)


def test_without_a_token_of_ours_every_one_is_wrong() -> None:
    assert status(f"Bearer {TOKEN}", good=tokens()) == 403
    assert status(good=tokens()) == 401


def test_d14_secrets_are_compared_in_one_place_and_in_constant_time() -> None:
    """No `==` near a token: comparing tells by its time how much is right."""
    path = Path(auth.__file__)
    compared = [
        each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Compare)
    ]
    assert {ast.unparse(each) for each in compared} == {"len(headers) == 1", "match is None"}
    sources = {each: each.read_text() for each in path.parent.parent.rglob("*.py")}
    assert [each.name for each, text in sources.items() if "compare_digest" in text] == [
        "tokens.py"
    ]
    assert not [each for each, text in sources.items() if ".reveal() ==" in text]
