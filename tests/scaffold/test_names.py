"""What a new plugin may be called."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.scaffold import Name, ScaffoldError, named


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cloud", ("cloud", "cloud", "scaler-cloud", "scaler_cloud", "Cloud")),
        ("my-cloud-2", ("my-cloud-2", "my_cloud_2", "scaler-my-cloud-2", "scaler_my_cloud_2",
                        "MyCloud2")),
    ],
)  # fmt: skip
def test_what_follows_from_a_name(text: str, names: tuple[str, ...]) -> None:
    name = named(text, {})
    assert (name.name, name.stem, name.dist, name.package, name.cls) == names


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a letter first"),
        ("Cloud", "a-z, 0-9"),
        ("my_cloud", "a-z, 0-9"),
        ("2cloud", "a letter first"),
        ("-cloud", "a letter first"),
        ("cloud-", 'single "-"'),
        ("my--cloud", 'single "-"'),
        ("a" * 41, "up to 40"),
        ("../cloud", "a-z, 0-9"),
        ("cloud\n", "a-z, 0-9"),
        ("class", "keyword"),
        ("match", "keyword"),
        ("queue", '"my-queue" would do'),
        ("scaler", '"my-scaler" would do'),
        ("test", '"my-test" would do'),
        ("tests", '"my-tests" would do'),
        ("trio", "wanted none of scaler, test, tests, trio"),
        ("scaler-cloud", 'wanted "cloud"'),
        ("taken", "it is scaler-taken 1.0"),
    ],
)
def test_names_that_are_refused(text: str, told: str) -> None:
    with pytest.raises(ScaffoldError, match=re.escape(told)):
        named(text, {"taken": "scaler-taken 1.0"})


@given(st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True))
def test_a_name_that_is_taken_makes_python(text: str) -> None:
    try:
        name = named(text, {})
    except ScaffoldError:
        return
    assert name == Name(text)
    ast.parse(f"import {name.package}, {name.stem}\nclass {name.cls}: ...")
