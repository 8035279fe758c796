"""The table of promises: each is written where it says, and says so when it is broken."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from scaler import Busy, HookFault, Unavailable, hooks
from scaler.testing import PROMISES, Promise, PromiseBroken
from scaler.testing.promises import promised

TITLES = {
    "plugin": "Every plugin",
    "provisioner": "Provisioners",
    "source": "Sources",
    "selector": "Selectors",
    "panel": "Panels",
}
NAMES = [f"{promise.kind}-{promise.name}" for promise in PROMISES]


def documented(where: str) -> str:
    """The text of whatever has this dotted name, white space folded."""
    parts = where.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return " ".join((inspect.getdoc(found) or "").split())
    raise LookupError(where)


@pytest.mark.parametrize("promise", PROMISES, ids=NAMES)
def test_it_is_written_where_it_says(promise: Promise) -> None:
    assert " ".join(promise.quote.split()) in documented(promise.where)
    assert len(promise.quote) > 20


@pytest.mark.parametrize("promise", PROMISES, ids=NAMES)
def test_it_is_about_a_hook_and_is_a_sentence(promise: Promise) -> None:
    assert promise.hook in ("", *hooks.hook_names())
    assert promise.text.endswith((".", ".)"))


def rows(kind: str) -> list[str]:
    return [
        f"| {each.name} | {f'`{each.hook}`' if each.hook else ''} | {each.text} |"
        for each in PROMISES
        if each.kind == kind
    ]


@pytest.mark.parametrize("kind", dict.fromkeys(promise.kind for promise in PROMISES))
def test_the_reference_lists_it(kind: str) -> None:
    """What is missing there is printed as it has to stand."""
    text = (Path(__file__).parents[2] / "docs/reference/testing.md").read_text()
    table = text.partition(f"\n### {TITLES[kind]}\n")[2].partition("\n#")[0].splitlines()
    assert [line for line in table if line.startswith("|")][2:] == rows(kind), "\n".join(rows(kind))


def test_no_two_of_a_kind_have_the_same_name() -> None:
    names = [(promise.kind, promise.name) for promise in PROMISES]
    assert len(set(names)) == len(names)


def test_a_broken_one_says_what_was_promised_what_was_seen_and_where_it_is_written() -> None:
    promise = Promise(
        name="tidy", kind="plugin", hook="destroy_runner", text="It is tidy.", quote="Leave nothing"
    )
    broken = promise.broken("a mess\nof two lines")
    assert str(broken) == (
        "tidy: It is tidy.\n"
        "  seen: a mess\\nof two lines\n"
        "  written in scaler.hooks.Spec.destroy_runner: «Leave nothing»"
    )
    assert isinstance(broken, AssertionError)
    assert (broken.promise, broken.seen) == (promise, "a mess\\nof two lines")


def test_faults_and_outcomes_break_the_promise_that_was_being_kept() -> None:
    promise = PROMISES[0]
    with pytest.raises(PromiseBroken, match="asking: Unavailable: not now"):
        with promised(promise, "asking"):
            raise Unavailable("not now")
    with pytest.raises(PromiseBroken, match=r"asking: toy\.check: took longer"):
        with promised(promise, "asking"):
            raise HookFault("toy", "check", "took longer")
    with pytest.raises(Busy):
        with promised(promise, "asking", Busy):
            raise Busy
    with pytest.raises(ZeroDivisionError):
        with promised(promise, "asking"):
            raise ZeroDivisionError
