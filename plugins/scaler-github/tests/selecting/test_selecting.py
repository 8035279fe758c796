"""A request from its query to its answer: D5 to D7, and what GitHub is asked for it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Refused, Selection, SettingsChange, SettingsError, Unavailable
from scaler_github.selecting.codes import SENTENCES, Code

World = Any
REPO = "acme/widgets"
UNIQUE = "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11"
PREFIX = "servo-ci-runners_"


async def test_a_proof_selects_and_costs_two_calls(world: World, autojump_clock: MockClock) -> None:
    world.prove(world.text(self_hosted_runner_count="3"))
    assert await world.ask() == Selection(profile="linux", count=3)
    assert world.calls() == 2
    assert world.sim.count("blob") == 1
    listed = world.wire.sent[0].url
    assert listed.path == f"/api/v3/repos/acme/widgets/actions/runs/{world.run.id}/artifacts"
    assert dict(listed.params) == {"name": f"{PREFIX}{UNIQUE}", "per_page": "100"}


async def test_one_runner_where_no_count_is_told(world: World, autojump_clock: MockClock) -> None:
    world.prove()
    assert await world.ask() == Selection(profile="linux", count=1)


async def test_case_is_githubs(world: World, autojump_clock: MockClock) -> None:
    world.build(allowed_repos=("ACME/Widgets",))
    world.prove(world.text(qualified_repo="Acme/WIDGETS"))
    assert (await world.ask(qualified_repo="acme/Widgets")).profile == "linux"


async def test_another_prefix(world: World, autojump_clock: MockClock) -> None:
    world.build(artifact_prefix="mine-")
    world.prove()
    assert await world.no() == "artifact-not-found"
    world.prove(name=f"mine-{UNIQUE}")
    await trio.sleep(6)
    await world.ask()


async def test_every_code_has_a_sentence_and_a_word_of_its_own() -> None:
    assert SENTENCES.keys() == set(Code)
    assert len({code.value for code in Code}) == len(Code)


# --- D5: someone else's ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("unique_id", "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b12", "proof-mismatch"),
        ("unique_id", UNIQUE.upper(), "proof-mismatch"),
        ("qualified_repo", "acme/other", "proof-mismatch"),
        ("run_id", "1", "proof-mismatch"),
        ("run_id", "08000000001", "proof-mismatch"),
        ("self_hosted_image_name", "windows", "unknown-profile"),
        ("self_hosted_image_name", "Linux", "unknown-profile"),
        ("self_hosted_image_name", "../linux", "unknown-profile"),
    ],
)
async def test_d5_each_field_must_be_the_querys(
    world: World, autojump_clock: MockClock, field: str, value: str, code: str
) -> None:
    world.prove(world.text(**{field: value}))
    assert await world.no() == code


async def test_d5_an_artifact_of_another_run_is_not_found(
    world: World, autojump_clock: MockClock
) -> None:
    other = world.sim.add_run(REPO)
    world.prove(run=other.id)
    assert await world.no() == "artifact-not-found"


async def test_d5_an_artifact_that_says_it_is_of_another_run(
    world: World, autojump_clock: MockClock
) -> None:
    artifact = world.prove()
    artifact.run = 7
    assert await world.no() == "artifact-of-another-run"
    assert world.sim.count("artifact-zip") == 0


async def test_d5_one_that_does_not_say_is_of_the_run_that_was_asked_for(
    world: World, autojump_clock: MockClock
) -> None:
    world.prove().run = None
    await world.ask()


async def test_a_run_or_repository_that_github_does_not_show(
    world: World, autojump_clock: MockClock
) -> None:
    assert await world.no(run_id="12345") == "run-not-found"
    world.build(allowed_repos=("other/*",))
    assert await world.no(qualified_repo="other/repo") == "run-not-found"


# --- D6: who may ask, how often --------------------------------------------------------


async def test_d6_events_and_state_are_not_looked_at_by_default(
    world: World, autojump_clock: MockClock
) -> None:
    world.run.event, world.run.status = "pull_request", "completed"
    world.prove()
    await world.ask()
    assert world.sim.count("run") == 0


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ("push", "in_progress", ""),
        ("pull_request", "in_progress", "event-not-allowed"),
        ("push", "completed", "run-not-in-progress"),
        ("push", "queued", "run-not-in-progress"),
    ],
)
async def test_d6_events_that_are_named_alone(
    world: World, autojump_clock: MockClock, event: str, status: str, code: str
) -> None:
    world.build(allowed_events=("push", "schedule"))
    world.run.event, world.run.status = event, status
    world.prove()
    if code:
        assert await world.no() == code
    else:
        await world.ask()
        assert world.calls() == 3


async def test_d6_a_run_in_progress_where_that_is_wanted(
    world: World, autojump_clock: MockClock
) -> None:
    world.build(require_run_in_progress=True)
    world.run.event = "pull_request"
    world.prove()
    await world.ask()
    world.run.status = "completed"
    world.build(require_run_in_progress=True)
    assert await world.no() == "run-not-in-progress"


async def test_d6_another_run_in_the_answer(world: World, autojump_clock: MockClock) -> None:
    world.build(require_run_in_progress=True)
    world.prove()
    world.sim.faults.add("run", fields={"repository": {"full_name": "acme/other"}})
    assert await world.no() == "run-not-found"


async def test_d6_so_many_reservations_within_an_hour(
    world: World, autojump_clock: MockClock
) -> None:
    world.build(per_run_limit=3)
    ids = [str(uuid.UUID(int=number, version=4)) for number in range(5)]
    for unique in ids:
        world.prove(world.text(unique_id=unique), name=f"{PREFIX}{unique}")
    for unique in ids[:3]:
        await world.ask(unique_id=unique)
    calls = world.calls()
    assert await world.no(unique_id=ids[3]) == "run-quota"
    assert world.calls() == calls
    await trio.sleep(60)
    await world.ask(unique_id=ids[0])  # which is no other reservation
    other = world.sim.add_run(REPO)
    world.run = other
    world.prove()
    await world.ask()
    await trio.sleep(3600)
    again = str(uuid.UUID(int=9, version=4))
    world.prove(world.text(unique_id=again), name=f"{PREFIX}{again}")
    await world.ask(unique_id=again)


async def test_d6_so_many_looks_within_a_minute(world: World, autojump_clock: MockClock) -> None:
    for number in range(30):
        unique = str(uuid.UUID(int=number, version=4))
        assert await world.no(unique_id=unique) == "artifact-not-found"
    assert world.calls() == 30
    with pytest.raises(Unavailable, match="30 times within a minute") as caught:
        await world.ask()
    assert caught.value.retry_after == pytest.approx(60)
    assert world.calls() == 30
    await trio.sleep(60)
    world.prove()
    await world.ask()


# --- D7: how many ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "code"),
    [
        ("1", ""),
        ("16", ""),
        ("17", "too-many"),
        ("9" * 30, "too-many"),
        ("0", "proof-malformed"),
        ("-1", "proof-malformed"),
        ("+1", "proof-malformed"),
        ("01", "proof-malformed"),
        ("1.0", "proof-malformed"),
        (" 1", "proof-malformed"),
        ("1_0", "proof-malformed"),
        ("\u0663", "proof-malformed"),
        ("9" * 100, "proof-malformed"),
    ],
    ids=range(13),
)
async def test_d7_counts(world: World, autojump_clock: MockClock, count: str, code: str) -> None:
    world.prove(world.text(self_hosted_runner_count=count))
    if code:
        assert await world.no() == code
    else:
        assert (await world.ask()).count == int(count)


# --- what is remembered, and what is no refusal ----------------------------------------


async def test_a_no_is_given_again_for_a_while(world: World, autojump_clock: MockClock) -> None:
    assert await world.no() == "artifact-not-found"
    world.prove("unique_id")
    await trio.sleep(4)
    assert await world.no() == "artifact-not-found"
    assert world.calls() == 1
    await trio.sleep(2)
    assert await world.no() == "proof-malformed"
    assert world.calls() == 3
    await trio.sleep(50)
    assert await world.no() == "proof-malformed"
    assert world.calls() == 3
    await trio.sleep(11)
    assert await world.no() == "proof-malformed"
    assert world.calls() == 5


@pytest.mark.parametrize("route", ["run-artifacts", "artifact-zip", "blob"])
@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 429}, {"kind": "drop"}, {"kind": "hang"}, {"status": 200}],
    ids=range(5),
)
async def test_github_that_is_ill_is_no_refusal(
    world: World, autojump_clock: MockClock, route: str, fault: dict[str, Any]
) -> None:
    world.prove()
    world.sim.faults.add(route, **fault)
    if route == "blob" and fault == {"status": 200}:
        assert await world.no() == "artifact-digest"
        return
    with pytest.raises(Unavailable) as caught, trio.fail_after(14):
        await world.ask()
    assert caught.value.retry_after
    await trio.sleep(70)
    await world.ask()


async def test_several_that_are_slow_together_are_given_up_in_time(
    world: World, autojump_clock: MockClock
) -> None:
    world.prove()
    for route in ("run-artifacts", "artifact-zip", "blob"):
        world.sim.delays[route] = 9.0
    with pytest.raises(Unavailable, match="within 12 s"), trio.fail_after(13):
        await world.ask()


async def test_what_the_credential_may_not_see_is_the_operators_business(
    world: World, autojump_clock: MockClock
) -> None:
    world.prove()
    world.sim.faults.add("run-artifacts", status=403, body=b'{"message": "needs actions=read"}')
    with pytest.raises(Unavailable, match="may not read artifacts") as caught:
        await world.ask()
    assert "needs" not in str(caught.value)
    [(text, ok)] = world.core.told
    assert "needs actions=read" in text
    assert not ok


@pytest.mark.parametrize("proved", [True, False])
async def test_it_is_well_again_when_github_answers(
    world: World, autojump_clock: MockClock, proved: bool
) -> None:
    if proved:
        world.prove()
    world.sim.faults.add("run-artifacts", status=403, body=b'{"message": "needs actions=read"}')
    world.sim.faults.add("run-artifacts", status=500)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.ask()
        assert [ok for _, ok in world.core.told] == [False]  # a 500 says nothing of the credential
    for _ in range(2):
        await trio.sleep(6)
        if proved:
            await world.ask()
        else:
            assert await world.no() == "artifact-not-found"
        assert [ok for _, ok in world.core.told] == [False, True]
    assert "read by" in world.core.told[-1][0]


async def test_it_needs_the_account_that_it_names(world: World, autojump_clock: MockClock) -> None:
    world.core.siblings.clear()
    world.core.sibling = _missing
    with pytest.raises(SettingsError, match=r"needs \[plugins.github\]"):
        await world.select.run_service(trio.TASK_STATUS_IGNORED)


def _missing(plugin: str, cls: type[Any]) -> Any:
    raise LookupError(cls)


async def test_an_account_that_is_not_there(world: World, autojump_clock: MockClock) -> None:
    world.build(connection="other")
    with pytest.raises(SettingsError, match=r"plugins.artifact-select.connection: found .other."):
        await world.select.run_service(trio.TASK_STATUS_IGNORED)


async def test_an_account_that_is_not_there_is_refused_before_anything_changes(
    world: World, autojump_clock: MockClock
) -> None:
    """When settings are tried; being told of them is too late to refuse."""
    world.select.validate()
    world.build(connection="other")
    with pytest.raises(SettingsError, match=r"plugins.artifact-select.connection: found .other."):
        world.select.validate()
    assert await world.select.on_settings_changed(SettingsChange(config=True)) == []
    text, ok = world.core.told[-1]
    assert "plugins.artifact-select.connection: found" in text
    assert not ok


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"allowed_repos": ()}, "allowed_repos: found none"),
        ({"allowed_repos": ("acme",)}, 'found "acme", wanted "OWNER/\\*"'),
        ({"allowed_repos": ("*/*",)}, "wanted"),
        ({"allowed_repos": ("acme/wid*",)}, "wanted"),
        ({"allowed_repos": ("acme/..",)}, "wanted"),
        ({"artifact_max_age": 0.0}, "artifact_max_age"),
        ({"artifact_max_age": 90000.0}, "artifact_max_age"),
        ({"artifact_prefix": "a/b"}, "artifact_prefix"),
        ({"max_count": 0}, "max_count"),
        ({"per_run_limit": 0}, "per_run_limit"),
        ({"allowed_events": ("Push!",)}, "allowed_events"),
    ],
    ids=range(11),
)
async def test_settings_that_are_wrong(
    world: World, autojump_clock: MockClock, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        world.build(**settings)


async def test_a_refusal_says_nothing_of_other_requests(
    world: World, autojump_clock: MockClock
) -> None:
    with pytest.raises(Refused) as caught:
        await world.ask(qualified_repo="acme/<script>")
    assert "script" not in str(caught.value)


async def test_other_rules_count_at_once(world: World, autojump_clock: MockClock) -> None:
    world.prove()
    await world.ask()
    config = world.select._context.config
    world.select._context.config = replace(config, allowed_events=("push",), per_run_limit=1)
    world.run.event = "pull_request"
    assert await world.select.on_settings_changed(SettingsChange(config=True)) == []
    assert await world.no() == "event-not-allowed"
    assert await world.no(unique_id=str(uuid.uuid4())) == "run-quota", "the grant still counts"
