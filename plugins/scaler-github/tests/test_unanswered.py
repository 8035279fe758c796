"""How long names are remembered that were asked for without an answer."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Unavailable
from scaler_github.client import GitHubError, Kind, Verdict
from scaler_github.client.runners import Unusable
from scaler_github.unanswered import SHOWN, Unanswered

NAME = "linux.1@host-1"


@dataclass
class Answers:
    """What GitHub answers from now on; how often it was asked."""

    answer: GitHubError | int
    count: int = 0

    async def __call__(self) -> Any:
        await trio.lowlevel.checkpoint()
        self.count += 1
        if isinstance(self.answer, GitHubError):
            raise self.answer
        return SimpleNamespace(runner=SimpleNamespace(id=self.answer))


def error(kind: Kind) -> GitHubError:
    return GitHubError(Verdict(kind, kind.value))


async def asked(answers: Answers) -> Unanswered[Any]:
    unanswered = Unanswered[Any]()
    with pytest.raises(GitHubError):
        await unanswered.ask(NAME, answers)
    return unanswered


async def test_one_that_was_never_asked_for_is_not_looked_for() -> None:
    assert await Unanswered[Any]().number(NAME) is None


async def test_one_that_was_answered_for_is_forgotten() -> None:
    unanswered = Unanswered[Any]()
    answers = Answers(7)
    assert (await unanswered.ask(NAME, answers)).runner.id == 7
    assert await unanswered.number(NAME) is None
    assert answers.count == 1


@pytest.mark.parametrize("late", [False, True])
async def test_lists_are_believed_after_a_while(autojump_clock: MockClock, late: bool) -> None:
    answers = Answers(error(Kind.RETRY))
    unanswered = await asked(answers)
    answers.answer = 7
    await trio.sleep(SHOWN + 1 if late else SHOWN - 1)
    assert await unanswered.number(NAME) == (None if late else 7)
    assert answers.count == (1 if late else 2)


async def test_the_last_attempt_counts(autojump_clock: MockClock) -> None:
    """The look itself registers, and that one is in no list for as long."""
    answers = Answers(error(Kind.RETRY))
    unanswered = await asked(answers)
    await trio.sleep(SHOWN - 1)
    with pytest.raises(GitHubError):
        await unanswered.number(NAME)
    await trio.sleep(SHOWN - 1)
    answers.answer = error(Kind.EXISTS)
    with pytest.raises(Unavailable):
        await unanswered.number(NAME)


async def test_an_attempt_that_was_broken_off_counts_from_its_end(
    autojump_clock: MockClock,
) -> None:
    unanswered = Unanswered[Any]()
    with trio.move_on_after(60):
        await unanswered.ask(NAME, trio.sleep_forever)
    answers = Answers(7)
    unanswered._asked[NAME].generate = answers
    await trio.sleep(SHOWN - 1)
    assert await unanswered.number(NAME) == 7


async def test_a_refusal_is_no_attempt(autojump_clock: MockClock) -> None:
    answers = Answers(error(Kind.RETRY))
    unanswered = await asked(answers)
    answers.answer = error(Kind.WAIT)
    await trio.sleep(SHOWN - 1)
    with pytest.raises(GitHubError):
        await unanswered.number(NAME)
    await trio.sleep(2)
    assert await unanswered.number(NAME) is None


@pytest.mark.parametrize("kind", [Kind.GONE, Kind.BUG])
async def test_where_nothing_can_be_learnt_nothing_is_there(kind: Kind) -> None:
    answers = Answers(error(Kind.RETRY))
    unanswered = await asked(answers)
    answers.answer = error(kind)
    assert await unanswered.number(NAME) is None


async def test_what_was_seen_once_is_known(autojump_clock: MockClock) -> None:
    answers = Answers(error(Kind.RETRY))
    unanswered = await asked(answers)
    answers.answer = Unusable(Verdict(Kind.RETRY), 7)
    assert await unanswered.number(NAME) == 7
    await trio.sleep(10 * SHOWN)
    assert await unanswered.number(NAME) == 7
    assert answers.count == 2
    unanswered.forget(NAME)
    assert await unanswered.number(NAME) is None


async def test_the_number_of_one_that_nobody_can_use_is_known(autojump_clock: MockClock) -> None:
    answers = Answers(Unusable(Verdict(Kind.RETRY), 7))
    unanswered = await asked(answers)
    await trio.sleep(10 * SHOWN)
    assert await unanswered.number(NAME) == 7
    assert answers.count == 1


async def test_asked_for_anew_it_has_another_number() -> None:
    answers = Answers(Unusable(Verdict(Kind.RETRY), 7))
    unanswered = await asked(answers)
    answers.answer = error(Kind.RETRY)
    with pytest.raises(GitHubError):
        await unanswered.ask(NAME, answers)
    answers.answer = 8
    assert await unanswered.number(NAME) == 8


@pytest.mark.parametrize("before", [False, True])
async def test_what_was_refused_is_remembered_only_if_it_was_tried_before(before: bool) -> None:
    answers = Answers(error(Kind.RETRY))
    unanswered = await asked(answers) if before else Unanswered[Any]()
    answers.answer = error(Kind.WAIT)
    with pytest.raises(GitHubError):
        await unanswered.ask(NAME, answers)
    answers.answer = 7
    assert await unanswered.number(NAME) == (7 if before else None)
    assert (NAME in unanswered._asked) is before


async def test_a_name_that_goes_on_being_taken_is_not_waited_for_for_ever(
    autojump_clock: MockClock,
) -> None:
    unanswered = await asked(Answers(error(Kind.EXISTS)))
    for _ in range(2):
        with pytest.raises(Unavailable, match="does not show it yet"):
            await unanswered.number(NAME)
        await trio.sleep(SHOWN / 2 + 1)
    assert await unanswered.number(NAME) is None
