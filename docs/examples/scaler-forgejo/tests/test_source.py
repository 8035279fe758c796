"""The plugin's hooks, against the fake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scaler import Busy, Registration, Runner, RunnerState, SettingsError, Unavailable
from scaler.testing import Memory
from scaler_forgejo.testing import Forge, Reply


def runner(number: int = 1) -> Runner:
    name = f"linux.{number}@here"
    return Runner(id=number, name=name, profile="linux", state=RunnerState.PLANNED)


async def test_the_config_is_a_file_for_forgejo_runner(forge: Forge, start: Any) -> None:
    async with start({"linux": ("linux", "x86")}) as (plugin, _):
        made = await plugin.register_runner(runner())
    assert made.config is not None
    assert json.loads(made.config.reveal()) == {
        "server": {
            "connections": {
                "forgejo": {
                    "url": forge.url,
                    "uuid": f"uuid-{made.ref}",
                    "token": f"secret-{made.ref}",
                    "labels": ["linux:host", "x86:host"],
                }
            }
        }
    }


async def test_a_leftover_of_the_same_name_goes_first(forge: Forge, start: Any) -> None:
    leftover = forge.add_runner("linux.1@here")
    async with start() as (plugin, _):
        made = await plugin.register_runner(runner())
    assert forge.names() == ["linux.1@here"]
    assert made.ref != str(leftover)


async def test_all_of_a_name_go_and_nothing_else(forge: Forge, start: Any) -> None:
    for name in ("linux.1@here", "linux.1@here", "linux.2@here", "linux.1@there", "people's"):
        forge.add_runner(name)
    async with start() as (plugin, _):
        await plugin.unregister_runner(runner())
        await plugin.unregister_runner(runner())
    assert forge.names() == ["linux.2@here", "linux.1@there", "people's"]


async def test_a_runner_that_works_is_busy(forge: Forge, start: Any) -> None:
    forge.add_runner("linux.1@here", "active")
    async with start() as (plugin, _):
        with pytest.raises(Busy, match="active"):
            await plugin.unregister_runner(runner())
    assert forge.names() == ["linux.1@here"]


async def test_what_is_listed_is_ours_whole_and_says_who_works(forge: Forge, start: Any) -> None:
    forge.page = 2
    forge.add_runner("linux.9@there", "idle")
    for number, status in enumerate(("offline", "idle", "active", "idle"), 1):
        forge.add_runner(f"linux.{number}@here", status)
    async with start() as (plugin, _):
        listed = await plugin.list_registrations()
    assert [(each.name, each.online, each.busy) for each in listed] == [
        ("linux.1@here", False, None),
        ("linux.2@here", True, False),
        ("linux.3@here", True, True),
        ("linux.4@here", True, False),
    ]


async def test_a_list_that_moved_while_it_was_read_is_read_again(forge: Forge, start: Any) -> None:
    forge.page = 2
    first = [forge.add_runner(f"linux.{number}@here", "idle") for number in range(1, 6)]
    async with start() as (plugin, context):
        await context.core.until(lambda: context.core.messages)

        def one_goes() -> None:
            forge.runners.pop(first[0], None)

        forge.between = one_goes
        listed = await plugin.list_registrations()
    assert sorted(each.name for each in listed) == [f"linux.{each}@here" for each in range(2, 6)]


async def test_a_runner_that_moves_to_a_page_that_was_read_is_not_missed(
    forge: Forge, start: Any
) -> None:
    forge.page = 2
    forge.rows = lambda: sorted(forge.runners.values(), key=lambda each: -each["heard"])
    numbers = [forge.add_runner(f"linux.{number}@here", "idle") for number in range(1, 6)]
    for number in numbers:
        forge.runners[number]["heard"] = -number

    async with start() as (plugin, context):
        await context.core.until(lambda: context.core.messages)
        forge.between = heard = _Heard(forge, numbers[-1])
        listed = await plugin.list_registrations()
    assert heard.times > 0
    assert sorted(each.name for each in listed) == [f"linux.{each}@here" for each in range(1, 6)]


class _Heard:
    """A runner is heard of, once, between two pages: it is the first of the list then."""

    def __init__(self, forge: Forge, number: int) -> None:
        self.forge, self.number, self.times = forge, number, 0

    def __call__(self) -> None:
        self.forge.runners[self.number]["heard"] = 1
        self.times += 1


async def test_a_list_that_never_stands_still_is_no_list(forge: Forge, start: Any) -> None:
    forge.page = 2
    for number in range(1, 6):
        forge.add_runner(f"linux.{number}@here", "idle")
    async with start() as (plugin, context):
        await context.core.until(lambda: context.core.messages)

        def one_goes_and_one_comes() -> None:
            forge.runners.pop(next(iter(forge.runners)))
            forge.add_runner("linux.9@here")

        forge.between = one_goes_and_one_comes
        with pytest.raises(Unavailable, match="changed each time"):
            await plugin.list_registrations()


async def test_jobs_come_by_polling_and_end(forge: Forge, start: Any) -> None:
    async with start() as (_, context):
        core = context.core
        await core.until(lambda: core.messages)
        assert (core.messages[0].demand, core.messages[0].jobs) == (0, ())
        job = forge.add_job("linux")
        await core.until(lambda: len(core.messages) == 2)
        assert [(each.id, each.state) for each in core.messages[1].jobs] == [
            (f"{job['id']}.1", "assigned")
        ]
        job["status"] = "running"
        await core.until(lambda: len(core.messages) == 3)
        assert core.messages[2].jobs[0].state == "running"
        forge.jobs.clear()
        await core.until(lambda: len(core.messages) == 4)
        assert core.messages[3].jobs[0].state == "done"
        assert len({each.id for each in core.messages}) == 4


async def test_a_job_that_ended_while_scaler_was_down_is_told(forge: Forge, start: Any) -> None:
    forge.add_job("linux")
    memory = Memory()
    async with start(memory=memory) as (_, context):
        await context.core.until(lambda: context.core.messages)
    forge.jobs.clear()
    async with start(memory=memory) as (_, context):
        await context.core.until(lambda: context.core.messages)
        assert [job.state for job in context.core.messages[0].jobs] == ["done"]


async def test_what_was_not_durable_is_delivered_again(forge: Forge, start: Any) -> None:
    async with start() as (_, context):
        core = context.core
        await core.until(lambda: core.messages)
        core.fail_deliver()
        forge.add_job("linux")
        await core.until(lambda: len(core.messages) == 2)
        assert any(not each.ok for each in core.reports)
        await core.until(lambda: core.reports[-1].ok)


async def test_a_runner_that_forgejo_removed_is_told_gone_and_one_that_we_removed_is_not(
    forge: Forge, start: Any
) -> None:
    async with start() as (plugin, context):
        core = context.core
        made = [await plugin.register_runner(runner(number)) for number in (1, 2, 3)]
        await core.until(lambda: len(core.registrations) == 3)
        for each in made[:2]:
            forge.runners.pop(int(each.ref))
        await plugin.unregister_runner(runner(1))
        await plugin.unregister_runner(runner(3))
        await core.until(lambda: len(core.registrations) == 5)
        polls = len(core.reports)
        await core.until(lambda: len(core.reports) > polls + 1)
        assert core.registrations[3:] == [
            Registration(name=each.name, gone=True) for each in made[:2]
        ]


async def test_the_end_of_a_job_is_told_before_that_of_its_runner(forge: Forge, start: Any) -> None:
    async with start() as (plugin, context):
        core = context.core
        forge.add_job("linux", status="running")
        made = await plugin.register_runner(runner())
        await core.until(lambda: core.registrations and core.messages[-1].jobs)
        core.fail_deliver(2)
        forge.runners.pop(int(made.ref))
        forge.jobs.clear()
        await core.until(lambda: len(core.refused) == 2)
        assert not core.registrations[-1].gone
        await core.until(lambda: core.registrations[-1].gone)
        assert [job.state for job in core.messages[-1].jobs] == ["done"]


async def test_refusals_are_outcomes_and_the_wait_is_what_forgejo_asks(
    forge: Forge, start: Any
) -> None:
    async with start() as (plugin, _):
        forge.instead = {"/actions/runners": Reply(429, {}, {"Retry-After": "40"})}
        with pytest.raises(Unavailable, match="429") as caught:
            await plugin.register_runner(runner())
        assert caught.value.retry_after == 40
        assert forge.names() == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, {}),
        Reply(302, {}, {"Location": "https://elsewhere.example"}),
        Reply(200, {"not": "a list"}),
        Reply(200, []),
        Reply(200, [{"id": "x"}], {"X-Total-Count": "1"}),
    ],
    ids=["error", "redirect", "shape", "no-count", "fields"],
)
async def test_an_answer_that_is_none_is_unavailable(
    forge: Forge, start: Any, reply: Reply
) -> None:
    async with start() as (plugin, _):
        forge.instead = {"/actions/runners": reply}
        with pytest.raises(Unavailable):
            await plugin.list_registrations()


async def test_a_label_that_forgejo_cannot_tell_is_refused(start: Any) -> None:
    with pytest.raises(SettingsError, match=r"profiles\.linux\.forgejo\.labels: found 'a:b'"):
        async with start({"linux": ("a:b",)}):
            pass
