"""Laws of the list, for any lists that GitHub may answer and any times at which it is asked for."""

from __future__ import annotations

import logging
import math

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from scaler_github.client import GitHubError, Kind, Verdict
from scaler_github.client.runners import RestRunner
from scaler_github.registrar.background import Background
from scaler_github.registrar.listing import Listing

TIMEOUT = 30.0
LOG = logging.LoggerAdapter(logging.getLogger("test"))
NAMES = st.sampled_from(["a", "b", "c"])
ANSWERS = st.lists(st.none() | st.frozensets(NAMES), min_size=1, max_size=8)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "add", "remove"]), NAMES, st.sampled_from([0.0, 7.0, 29.0, 31.0])
    ),
    max_size=30,
)


@settings(deadline=None)
@given(ANSWERS, STEPS)
def test_who_is_missing_is_missing_in_two_lists(
    answers: list[frozenset[str] | None], steps: list[tuple[str, str, float]]
) -> None:
    """`None` among the answers is one that fails."""
    trio.run(_follow, list(answers), steps, clock=MockClock(autojump_threshold=0))


async def _follow(
    answers: list[frozenset[str] | None], steps: list[tuple[str, str, float]]
) -> None:
    reads: list[frozenset[str]] = []  # as patched since, by what was done here

    async def read() -> dict[str, RestRunner]:
        await trio.sleep(0.1)
        answer = answers.pop(0) if answers else frozenset[str]()
        if answer is None:
            raise GitHubError(Verdict(Kind.RETRY, "ill"))
        reads.append(answer)
        return {name: RestRunner(id=1, name=name, status="online", busy=False) for name in answer}

    listing = Listing(read, lambda: TIMEOUT, lambda: math.inf, Background(LOG))
    for step, name, pause in steps:
        if step == "add":
            listing.added(name, 1)
            if reads:
                reads[-1] |= {name}
        elif step == "remove":
            listing.removed(name)
            reads[:] = [each - {name} for each in reads]
        else:
            before, began = len(reads), trio.current_time()
            try:
                told = await listing.runners()
            except GitHubError:
                assert len(reads) == before
                continue
            names = [each.name for each in told]
            assert len(set(names)) == len(names)
            if before or len(reads) > before:
                assert set(names) >= reads[-1]
            missing = {"a", "b", "c"} - set(names)
            assert not any(missing & each for each in reads[-2:])
            news = {each.name for each in told if each.online is not None or each.busy is not None}
            assert news <= reads[-1]
            assert not news or len(reads) > before
            assert trio.current_time() - began < 1
        await trio.sleep(pause)
