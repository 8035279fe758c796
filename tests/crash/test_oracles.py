"""The oracles can fail: each is shown a history that it must catch, and one that is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.crash.oracles import Left, Oracles, Outcome

from scaler_libvirt.machine.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Callable


def machine(runner: int = 1, config: str = "c1", scaler: str = "crash") -> Identity:
    name = f"linux.{runner}@{scaler}"
    return Identity(scaler=scaler, runner=runner, runner_name=name, config_sha256=config)


def one_good_life(oracles: Oracles) -> None:
    oracles.issued("linux.1@crash", "c1")
    oracles.domain_started("u1", machine())
    assert oracles.job_started("j1", "linux.1@crash") == "u1"
    oracles.job_ended("j1", "u1")
    oracles.domain_stopped("u1", "destroyed")


def test_a_good_life_is_not_blamed() -> None:
    oracles = Oracles()
    one_good_life(oracles)
    oracles.issued("linux.1@other", "c2")
    oracles.domain_started("u2", machine(config="c2", scaler="other"))
    oracles.issued("linux.2@crash", "c3")
    oracles.domain_started("u3", machine(2, "c3"))
    oracles.domain_stopped("u3", "destroyed")
    oracles.judge_jobs([Outcome(job="j1", state="completed", result="succeeded")])
    oracles.judge_end(Left())
    assert oracles.wrong == []
    assert len(oracles.story) == 10


def two_domains(oracles: Oracles) -> None:
    oracles.issued("linux.1@crash", "c1")
    oracles.domain_started("u1", machine())
    oracles.domain_started("u2", machine())


def config_given_twice(oracles: Oracles) -> None:
    one_good_life(oracles)
    oracles.domain_started("u2", machine())


def config_of_another(oracles: Oracles) -> None:
    oracles.issued("linux.1@crash", "c1")
    oracles.issued("linux.2@crash", "c2")
    oracles.domain_started("u1", machine(1, "c2"))


def config_of_an_earlier_registration(oracles: Oracles) -> None:
    oracles.issued("linux.1@crash", "c1")
    oracles.issued("linux.1@crash", "c2")
    oracles.domain_started("u1", machine(1, "c1"))


def busy_domain_destroyed(oracles: Oracles) -> None:
    oracles.issued("linux.1@crash", "c1")
    oracles.domain_started("u1", machine())
    oracles.job_started("j1", "linux.1@crash")
    oracles.domain_stopped("u1", "destroyed")


def busy_domain_replaced(oracles: Oracles) -> None:
    busy_domain_destroyed(oracles)
    oracles.wrong.clear()
    oracles.domain_started("u2", machine())
    oracles.job_ended("j1", "u1")
    oracles.wrong[:] = [text for text in oracles.wrong if "two domains" not in text]


def job_without_a_domain(oracles: Oracles) -> None:
    oracles.issued("linux.1@crash", "c1")
    oracles.job_started("j1", "linux.1@crash")


def job_started_twice(oracles: Oracles) -> None:
    one_good_life(oracles)
    oracles.issued("linux.2@crash", "c2")
    oracles.domain_started("u2", machine(2, "c2"))
    oracles.job_started("j1", "linux.2@crash")


def job_never_started(oracles: Oracles) -> None:
    oracles.judge_jobs([Outcome(job="j1", state="assigned", result=None)])


def job_cancelled(oracles: Oracles) -> None:
    one_good_life(oracles)
    oracles.judge_jobs([Outcome(job="j1", state="completed", result="canceled")])


def job_done_by_nobody(oracles: Oracles) -> None:
    oracles.judge_jobs([Outcome(job="j1", state="completed", result="succeeded")])


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (two_domains, "two live domains"),
        (config_given_twice, "given to two domains"),
        (config_of_another, "not issued to linux.1@crash"),
        (config_of_an_earlier_registration, "not issued to linux.1@crash"),
        (busy_domain_destroyed, "ended under job j1"),
        (busy_domain_replaced, "had gone before"),
        (job_without_a_domain, "has no domain"),
        (job_started_twice, "started 2 times"),
        (job_never_started, "job j1 is assigned"),
        (job_cancelled, "result canceled"),
        (job_done_by_nobody, "started 0 times"),
    ],
)
def test_what_must_not_be_is_caught(history: Callable[[Oracles], None], words: str) -> None:
    oracles = Oracles()
    history(oracles)
    assert any(words in text for text in oracles.wrong), oracles.wrong


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (Left(domains=["u1"]), "domains are left: u1"),
        (Left(registrations=["linux.1@crash"]), "registrations are left: linux.1@crash"),
        (Left(rows=["linux.1@crash (idle)"]), "rows of the ledger are left"),
        (Left(sessions=["linux"]), "sessions are left: linux"),
    ],
)
def test_what_is_left_is_caught(left: Left, words: str) -> None:
    oracles = Oracles()
    oracles.judge_end(left)
    assert len(oracles.wrong) == 1
    assert words in oracles.wrong[0]
