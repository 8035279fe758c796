"""YAML from anybody: read as it is meant, or refused with the line; never at length."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from scaler import FatalError
from scaler_github.init import yamls

_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
_DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), _KEYS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=10,
)


def read(text: str) -> object:
    (found,) = yamls.parse(text, "v.yaml")
    return found


@given(data=_DATA)
def test_what_yaml_writes_is_read_back(data: object) -> None:
    if data is not None:
        assert read(yaml.safe_dump(data, allow_unicode=True)) == data


def test_values_are_what_helm_takes_them_for() -> None:
    text = "a: 5\nb: '5'\nc: yes\nd: 1.5\ne: ~\nf: 0x10\non: push\n1: x\ng: 2024-01-01\nh: !x y\n"
    assert read(text) == {
        "a": 5,
        "b": "5",
        "c": True,
        "d": 1.5,
        "e": None,
        "f": 16,
        "on": "push",
        "1": "x",
        "g": "2024-01-01",
        "h": "y",
    }


def test_a_number_that_nobody_would_mean_is_a_text() -> None:
    long = f"0x{'f' * 6000}"
    assert read(f"a: {long}\nb: {2**64 - 1}\n") == {"a": long, "b": 2**64 - 1}


def test_references_and_merges_are_followed() -> None:
    text = "base: &b {x: 1, y: 2}\na: *b\nc: {<<: *b, y: 3}\nd: {<<: [{z: 1}, {z: 2}]}\n"
    assert read(text) == {
        "base": {"x": 1, "y": 2},
        "a": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"z": 1},
    }


_LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
_MERGES = "a0: &a0 {k0: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", 'v.yaml:3: found the key "a" twice', id="twice"),
        pytest.param("a: {b: 1, b: 2}\n", 'v.yaml:1: found the key "b" twice', id="twice-flow"),
        pytest.param("a: [1\nb: 2\n", "v.yaml:2: is not YAML", id="syntax"),
        pytest.param("a: {{ .Values.x }}\n", "a template must be rendered first", id="template"),
        pytest.param("a: *nobody\n", "v.yaml:1: is not YAML: found undefined alias", id="alias"),
        pytest.param("? [a]\n: b\n", "found a key that is a map or a list", id="odd-key"),
        pytest.param("a: {<<: 5}\n", "found << of something else than a map", id="odd-merge"),
        pytest.param("a: \x00", "is not YAML", id="control"),
        pytest.param('a: "\\UFFFFFFFF"\n', "is not YAML", id="letter"),
        pytest.param(_LAUGHS, "holds more than 20000 values", id="laughs"),
        pytest.param(_MERGES, "holds more than 20000 values", id="merges"),
        pytest.param("a: &a [*a]\n", "too deep", id="itself"),
        pytest.param("[" * 200_000, "nested too deeply", id="deep"),
        pytest.param("a: " + "[" * 60 + "]" * 60, "too deep", id="rather-deep"),
    ],
)
def test_what_cannot_be_is_refused_soon(text: str, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(FatalError) as caught:
        yamls.parse(text, "v.yaml")
    assert told in str(caught.value)
    assert time.monotonic() - began < 20


@given(text=st.text(st.sampled_from("ab:-&*![]{}<\"'|>?#%@ \n\t0"), max_size=60))
def test_rubbish_ends_in_values_or_in_one_error(text: str) -> None:
    said = "v.yaml"
    try:
        yamls.parse(text, "v.yaml")
    except FatalError as error:
        said = str(error)
    assert said.startswith("v.yaml")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a: " + b"x" * yamls.LARGEST, "is larger than 256 KiB"),
        (b"a: \xff", "is not text in UTF-8"),
    ],
    ids=["large", "letters"],
)
def test_a_file_that_is_none_is_told(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(data)
    with pytest.raises(FatalError, match=told):
        yamls.read(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="cannot be read: No such file"):
        yamls.read(tmp_path / "values.yaml")
    with pytest.raises(FatalError, match="cannot be read: Is a directory"):
        yamls.read(tmp_path)
