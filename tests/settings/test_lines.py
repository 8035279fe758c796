"""Where a key stands, in every way that TOML has to write one."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.settings.lines import Lines

TEXT = '''# comment
top = 1
[scaler]
name = "x"
long = """
a
b"""
hosts = [
  { name = "a", memory = 1 },
  { name = "b",
    memory = 2 },
  "plain",
]
inline = { a = { b = 1 } }
d.e.f = 2
[[x.y]]
a = 1
[[x.y]]
a = 2
[p.q.r]
k = 1
[scaler.z]
w = 1
[p.s]
m = 1
[p.q]
"n o" = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("top",), 2),
        (("scaler",), 4),  # in two pieces: the first thing in it
        (("scaler", "name"), 4),
        (("scaler", "long"), 5),
        (("scaler", "hosts"), 8),
        (("scaler", "hosts", 0), 9),
        (("scaler", "hosts", 1), 10),
        (("scaler", "hosts", 1, "memory"), 11),
        (("scaler", "hosts", 2), 8),  # a plain element: its key's line
        (("scaler", "hosts", 0, "missing"), 9),
        (("scaler", "inline", "a", "b"), 14),
        (("scaler", "d"), 15),
        (("scaler", "d", "e", "f"), 15),
        (("x",), 16),
        (("x", "y", 0), 16),
        (("x", "y", 1, "a"), 19),
        (("p",), 20),
        (("p", "q", "r", "k"), 21),
        (("scaler", "z", "w"), 23),
        (("p", "s"), 24),
        (("p", "q", "n o"), 27),
        (("scaler", "missing"), 4),
        (("nowhere", "at", "all"), 1),
    ],
)
def test_a_path_has_a_line(path: tuple[str | int, ...], line: int) -> None:
    assert Lines(TEXT).of(path) == line


def test_text_that_only_tomllib_takes_has_line_one() -> None:
    assert Lines("= not toml").of(("a",)) == 1


KEYS = st.text("abc-_ü .\"'\\", min_size=1, max_size=4)


@given(st.dictionaries(KEYS, st.integers(), min_size=1, max_size=6), st.integers(0, 3))
def test_the_line_is_the_one_that_the_key_was_written_on(table: dict[str, int], gap: int) -> None:
    import json

    text = "[t]\n" + "".join(
        "\n" * gap + f"{json.dumps(key, ensure_ascii=False)} = {value}\n"
        for key, value in table.items()
    )
    parsed: dict[str, Any] = tomllib.loads(text)
    assert parsed == {"t": table}
    for index, key in enumerate(table):
        assert Lines(text).of(("t", key)) == 1 + (index + 1) * (gap + 1)
