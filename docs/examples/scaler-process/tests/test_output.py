"""What a command says: bounded, and never with its secret, however it comes in pieces."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from scaler_process.output import NEW, Output, tail

SECRET = b"abababac"


def said(pieces: list[bytes], half: int = 1 << 19) -> bytes:
    """What is kept of these pieces."""
    with tempfile.TemporaryDirectory() as name:
        output = Output(Path(name), SECRET, half)
        for piece in pieces:
            output.take(piece)
        output.close()
        return tail(Path(name))


@given(st.lists(st.text("abc", max_size=12).map(str.encode), max_size=20))
@example([b"ab", SECRET, b"x"])
@example([b"ababab", b"ababac"])
@example([bytes([each]) for each in SECRET])
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    assert said(pieces) == b"".join(pieces).replace(SECRET, b"***")


def test_what_looks_like_its_beginning_is_not_held_back_for_long(tmp_path: Path) -> None:
    output = Output(tmp_path, SECRET)
    output.take(b"done: aba")
    assert (tmp_path / NEW).read_bytes() == b"done: "
    output.take(b"d\n")
    assert (tmp_path / NEW).read_bytes() == b"done: abad\n"


def test_the_newest_is_what_is_kept() -> None:
    kept = said([b"%06d\n" % n for n in range(1000)], half=700)
    assert 700 <= len(kept) <= 1400
    assert kept.endswith(b"000999\n")


def test_a_text_too_short_to_be_a_secret_is_left_alone(tmp_path: Path) -> None:
    output = Output(tmp_path, b"a")
    output.take(b"banana")
    assert tail(tmp_path) == b"banana"


def test_a_disk_that_is_full_is_no_trouble(tmp_path: Path) -> None:
    output = Output(tmp_path / "gone", SECRET)
    output.take(b"x")
    output.close()
    assert tail(tmp_path / "gone") == b""
