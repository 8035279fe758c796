"""The file's text: what it says is what was put into it, whatever stands beside it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_github.init import toml
from scaler_github.init.document import Document, Note

_NASTY = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from('\n\r\t"#\\\x00\x7f\u202e')
    ),
    max_size=60,
)
_SCALARS = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), _NASTY)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_NASTY, inner, max_size=3)
    ),
    max_leaves=6,
)


@given(found=_VALUES)
def test_a_value_is_read_back_as_it_was(found: Any) -> None:
    text = "\n".join(toml.lines(found))
    assert tomllib.loads(f"a = {text}") == {"a": found}


@given(
    profile=st.text("abc-0", min_size=1, max_size=5),
    known=_SCALARS,
    unknown=st.dictionaries(_NASTY, _VALUES, max_size=3),
    said=_NASTY,
)
def test_what_is_put_is_what_is_read_whatever_is_said_beside_it(
    profile: str, known: Any, unknown: dict[str, Any], said: str
) -> None:
    document = Document(head=[said, "x"])
    document.put(("scaler", "name"), known, said)
    document.put(("plugins", "github"), {})
    document.put(("profiles", profile), {"labels": [said], "libvirt": {}}, said)
    for key, value in unknown.items():
        if key not in ("name", "plugins", "profiles"):
            document.put(("scaler", key), value)
    document.later["plugins", "github", "token"] = ({"env": said}, said)
    document.notes.append(Note(path=said, why=said, instead=said))
    assert tomllib.loads(document.text()) == document.settings


def test_a_value_that_settings_do_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="float is no value"):
        toml.value(1.5)


def test_notes_say_where_why_and_what_to_do() -> None:
    note = Note(path="a.b", why="there is none", instead="do it by hand", count=3)
    assert str(note) == "a.b (3 values): there is none -> do it by hand"
