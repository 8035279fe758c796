"""Secrets do not stay in what is kept of a guest's words."""

from __future__ import annotations

import base64
import secrets

from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.hosts.redact import CUT, cut
from scaler_libvirt.machine.identity import digest, new_key

KEYS = st.binary(min_size=24, max_size=24).map(
    lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")
)
FRAMES = st.sampled_from(
    [
        "{}",
        "SCALER_KEY={}",
        "SCALER_KEY='{}'",
        "http://10.0.0.1:8000/boot?key={}",
        "http://10.0.0.1:8000/boot?key={}&again=1",
        '{{"key": "{}"}}',
        "+ curl -H key:{}",
    ]
)
NOISE = st.text(st.characters(codec="utf-8"), max_size=60)


@given(key=KEYS, frame=FRAMES, before=NOISE, after=NOISE)
def test_a_key_is_found_wherever_it_stands(key: str, frame: str, before: str, after: str) -> None:
    text = f"{before}\r\n{frame.format(key)}\r\n{after}".encode()
    clean = cut(text, [digest(key)])
    assert key.encode() not in clean
    assert CUT in clean


@given(st.binary(max_size=400))
def test_other_words_stay(text: bytes) -> None:
    short = bytes(byte for byte in text if byte not in b"+/=")[:190]
    assert cut(short, ["", digest(new_key())]) == short


def test_what_is_long_is_a_config_whosever_it_is_also_where_it_was_wrapped() -> None:
    config = base64.b64encode(secrets.token_bytes(900))
    for width in (76, 80, len(config)):
        lines = [config[at : at + width] for at in range(0, len(config), width)]
        for newline in (b"\n", b"\r\n"):
            text = b"boot: ok\n" + newline.join(lines) + b"\ndone\n"
            clean = cut(text, [])
            assert clean.startswith(b"boot: ok\n")
            assert not any(line[:20] in clean for line in lines)


def test_a_listing_of_ordinary_lines_stays() -> None:
    text = b"\n".join(
        [b"/usr/lib/x86_64-linux-gnu/libsomething.so.%d" % number for number in range(50)]
    )
    assert cut(text, [digest("x")]) == text


def test_a_key_across_two_lines_of_a_narrow_screen_is_found() -> None:
    key = new_key()
    text = b"x" * 70 + b"=" + key[:9].encode() + b"\r\n" + key[9:].encode() + b"\r\n"
    assert key[9:].encode() not in cut(text, [digest(key)])


def test_bytes_that_are_no_text_are_no_trouble() -> None:
    assert cut(b"\x9c\xff\x00" * 100, ["a" * 64]) == b"\x9c\xff\x00" * 100
