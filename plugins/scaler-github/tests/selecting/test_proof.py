"""D12: the lines of a proof."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scaler import Refused
from scaler_github.selecting.proof import COUNT, NEEDED, fields, judged
from scaler_github.selecting.query import Query

QUERY = Query("8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11", "acme", "widgets", "77")
GOOD = (
    b"unique_id=8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11\n"
    b"qualified_repo=acme/widgets\n"
    b"run_id=77\n"
    b"self_hosted_image_name=linux\n"
)


def code(text: bytes) -> str:
    with pytest.raises(Refused) as caught:
        judged(text, QUERY, ["linux"], 16)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [GOOD, GOOD.removesuffix(b"\n"), b"".join(sorted(GOOD.splitlines(keepends=True)))],
    ids=range(3),
)
def test_good_ones(text: bytes) -> None:
    proof = judged(text, QUERY, ["linux"], 16)
    assert (proof.profile, proof.count) == ("linux", 1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        GOOD + b"\n",
        b"\n" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD + b"\x00",
        GOOD.replace(b"77", b"77\x00"),
        GOOD.replace(b"77", b"77\x0b"),
        GOOD.replace(b"77", b"77\xe2\x80\xa8x"),
        GOOD.replace(b"linux", b"linux\xff"),
        GOOD.replace(b"linux", "l\u0131nux".encode()),
        GOOD + b"run_id=77\n",
        GOOD + b"run_id=78\n",
        GOOD + b"RUN_ID=77\n",
        GOOD + b"other=1\n",
        GOOD + b" run_id=77\n",
        GOOD.replace(b"run_id=", b"run_id ="),
        GOOD.replace(b"run_id=77", b"run_id="),
        GOOD.replace(b"run_id=77", b"run_id"),
        GOOD.replace(b"run_id=77", b"=77"),
        GOOD.replace(b"run_id=77\n", b""),
        GOOD.replace(b"run_id=77\n", b"") + b"self_hosted_runner_count=2\n",
        GOOD + b"self_hosted_runner_count=" + b"1" * 201 + b"\n",
        GOOD + b"x" * 4000,
        GOOD + b"\n" * 17,
        b"a=b\n" * 21,
    ],
    ids=range(29),
)
def test_d12_what_is_not_written_as_it_must_be(text: bytes) -> None:
    assert code(text) == "proof-malformed"


@pytest.mark.parametrize("tail", [b" ", b"\t", b"#x", b"=77", b"\\n"])
def test_d12_nothing_is_trimmed(tail: bytes) -> None:
    assert code(GOOD.replace(b"run_id=77", b"run_id=77" + tail)) in {
        "proof-mismatch",
        "proof-malformed",
    }


def lenient(text: str) -> dict[str, str] | None:
    """What a reader of little care makes of it: the first of each key, whatever else there is."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals:
            found.setdefault(key.strip(), value.strip())
    return found if set(NEEDED) <= set(found) else None


LINES = st.lists(
    st.sampled_from(GOOD.decode().splitlines())
    | st.builds(
        "{}{}{}".format,
        st.sampled_from([*NEEDED, COUNT, "x", ""]),
        st.sampled_from(["=", " = ", ":", "=="]),
        st.text(max_size=8) | st.just("77"),
    ),
    max_size=25,
)


@given(
    st.binary(max_size=400)
    | st.builds(
        lambda lines, end: end.join(lines).encode("utf-8", "surrogatepass"),
        LINES,
        st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    )
)
@example(GOOD)
def test_d12_it_is_read_as_everybody_would_or_not_at_all(text: bytes) -> None:
    """Nothing but refusals; and of what is taken there is no second reading."""
    try:
        found = fields(text)
    except Refused:
        return
    assert lenient(text.decode()) == {key: value.strip() for key, value in found.items()}
    assert set(NEEDED) <= set(found) <= {*NEEDED, COUNT}


@given(st.binary(max_size=400))
def test_d12_any_bytes_are_a_no(text: bytes) -> None:
    assert code(text) == "proof-malformed"
