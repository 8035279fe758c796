"""The reference of `scaler.testing`: complete, and its example runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scaler import testing

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parent.parent / "docs/reference/testing.md").read_text()


def test_every_name_is_in_the_reference() -> None:
    told = set(re.findall(r"^\.\. auto\w+:: scaler\.testing\.(\w+)$", PAGE, re.MULTILINE))
    assert told | {"PROMISES"} == set(testing.__all__)
    assert "`PROMISES`" in PAGE


async def test_the_example_runs(
    scaler_context: Callable[..., Any],
    scaler_run: Callable[..., Any],
    scaler_hooks: testing.HookRecorder,
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "test_finished.py", "exec"), names)
    await names["test_it_keeps_its_promises"]()
    await names["test_it_counts_what_is_done"](scaler_context)
    await names["test_it_is_told_of_a_job_of_a_whole_scaler"](scaler_run, scaler_hooks)
    assert len([name for name in names if name.startswith("test_")]) == 3
