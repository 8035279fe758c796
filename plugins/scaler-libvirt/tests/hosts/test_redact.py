"""Secrets do not stay in what is kept of a guest's words."""

from __future__ import annotations

import base64
import secrets
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.hosts.redact import CUT, KEY, LONG, cut
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


# words with all that may stand between the parts of one, and lines that could be wrapped ones
WORDS = st.lists(
    st.one_of(
        st.text("abcXYZ019_-", min_size=KEY - 1, max_size=KEY + 1),
        st.text("ab+/=_-", max_size=LONG),
        st.sampled_from(["=", "/", "+", " ", ":", "\n", "\r\n", "x" * 60]),
    ),
    max_size=12,
).map(lambda parts: "".join(parts).encode()[:LONG])


@given(st.one_of(WORDS, st.binary(max_size=LONG)))
def test_other_words_stay(text: bytes) -> None:
    assert cut(text, ["", digest(new_key()), digest("a config")]) == text


@given(key=KEYS, before=WORDS, after=WORDS, by=st.sampled_from(["=", "/", "+", " ", ":", "\t"]))
def test_a_key_is_found_between_other_words(key: str, before: bytes, after: bytes, by: str) -> None:
    text = before + f"{by}{key}{by}".encode() + after
    assert key.encode() not in cut(text, [digest(key)])


def test_two_secrets_in_one_word_are_both_cut_out() -> None:
    one, two = new_key(), new_key()
    assert cut(f"k={one}/{two}".encode(), [digest(one), digest(two)]) == b"k=" + CUT + b"/" + CUT


@pytest.mark.parametrize("config", ["c2hvcnQ/Y29uZmlnK3dpdGgvYWxs=", "a/b+c/" * 20 + "=="])
def test_a_short_config_is_found_alone_and_after_its_name(config: str) -> None:
    for frame in ("{}", "CONFIG={}", "config: {}"):
        clean = cut(frame.format(config).encode(), [digest(config)])
        assert clean == frame.format(CUT.decode()).encode()


def test_keys_are_as_long_as_those_that_are_looked_for() -> None:
    assert len(new_key()) == KEY


@pytest.mark.parametrize(
    "word",
    [
        b"/" * 199 + b" ",
        b"=" * 199 + b" ",
        b"a/" * 99 + b" ",
        b"a/",
        b"a" * 19 + b" ",
        b"a" * 32 + b"/",
        b"a" * 32 + b" ",
        b"a" * 60 + b"\n",
        b"a" * 60 + b"\n" + b"/" * 60 + b"\r\n ",
        (b"a" * 32 + b"=") * 6 + b" ",
        b"\n",
        b"a" * 20 + b"\n",
    ],
)
def test_what_a_guest_wrote_costs_little_time_whatever_it_is(word: bytes) -> None:
    text = (word * (1 + (64 << 10) // len(word)))[: 64 << 10]
    digests = [digest(new_key()), digest("a config")]
    took = []
    for _ in range(5):
        before = time.thread_time()
        cut(text, digests)
        took.append(time.thread_time() - before)
    assert min(took) < 0.02


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
