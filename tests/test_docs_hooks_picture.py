"""The picture of a job's way through the hooks, held against a job that goes through them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import trio

from scaler import (
    Context,
    Finding,
    Job,
    Machine,
    Message,
    Registration,
    Room,
    Runner,
    Running,
    Secret,
    hookimpl,
    load_settings,
    serve,
)
from scaler.hooks import SPEC, Kind, contract, hook_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler.dispatch import HookCall

pytestmark = pytest.mark.once

DOCS = Path(__file__).parent.parent / "docs"
PICTURE = DOCS / "images/hooks-of-a-job.svg"
PAGE = DOCS / "explanation/hooks.md"
SVG = "{http://www.w3.org/2000/svg}"

#: What a hook was called with that a picture tells of: a state, or nothing.
Step = tuple[str, str]

SETTINGS = """
[scaler]
name = "here"
state_dir = "state"
[plugins.everyone]
[plugins.source]
[plugins.provisioner]
[profiles.linux]
max_count = 1
[profiles.linux.source]
[profiles.linux.provisioner]
"""


# --- what is shown ---------------------------------------------------------------------


def drawn(group: str) -> list[Step]:
    """The boxes of a lane of the picture, from top to bottom."""
    steps: list[Step] = []
    for lane in ET.parse(PICTURE).iterfind(f".//{SVG}g[@class='{group}']"):
        for text in lane.iterfind(f"{SVG}text"):
            if text.get("class") == "hook":
                steps.append((text.text or "", ""))
            elif text.get("class") == "note":
                steps[-1] = (steps[-1][0], text.text or "")
    return steps


def written(column: int) -> list[Step]:
    """The same, as the page's table says it."""
    table = PAGE.read_text().partition("| what happens |")[2].partition("\n\n")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines()[2:]]
    cells = " ".join(row[column] for row in rows)
    return [(match[1], match[2] or "") for match in re.finditer(r"`(\w+)`(?:: (\w+))?", cells)]


def beside() -> Iterator[str]:
    """The hooks below the picture, which no job in particular goes through."""
    for text in ET.parse(PICTURE).iterfind(f".//{SVG}text[@class='name']"):
        yield text.text or ""


# --- what happens ----------------------------------------------------------------------


class Everyone:
    """Is told and asked all that is not for a source or a provisioner."""

    def __init__(self, context: Context[Any, Any]) -> None:
        del context

    @hookimpl
    async def check(self) -> list[Finding]:
        return []

    @hookimpl
    async def on_message(self, message: Message) -> None: ...

    @hookimpl
    async def on_job_available(self, job: Job) -> None: ...

    @hookimpl
    async def on_job_changed(self, job: Job) -> None: ...

    @hookimpl
    async def on_runner_changed(self, runner: Runner) -> None: ...


class Source:
    """Brings one job, and registers whoever is to run it."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context
        self.names: set[str] = set()

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await self.context.ceiling_changed("linux", 0)
        await self.tell(Job(id="j", state="offered"), demand=0)
        runner = await self.runner("booting")
        self.context.registration_changed(Registration(name=runner, online=True, busy=False))
        await self.runner("idle")
        await self.tell(Job(id="j", state="running", runner_name=runner), demand=1)
        await self.tell(Job(id="j", state="done", runner_name=runner, result="succeeded"), demand=0)

    async def tell(self, job: Job, demand: int) -> None:
        await self.context.deliver(
            Message(id=job.state, profile="linux", jobs=(job,), demand=demand)
        )

    async def runner(self, state: str) -> str:
        """Wait until there is a runner in this state; its name."""
        view = self.context.view()
        while not any(each.state == state for each in view.runners):
            view = await self.context.next_view(view)
        return view.runners[0].name

    @hookimpl
    async def acquire_jobs(self, jobs: list[Job]) -> list[Job]:
        return jobs

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.names.add(runner.name)
        return Registration(name=runner.name, ref="1", config=Secret("config"))

    @hookimpl
    async def unregister_runner(self, runner: Runner) -> None:
        self.names.discard(runner.name)

    @hookimpl
    async def list_registrations(self) -> list[Registration]:
        return [Registration(name=name) for name in self.names]


class Provisioner:
    """Its machines are records."""

    def __init__(self, context: Context[Any, Any]) -> None:
        del context
        self.machines: dict[int, Machine] = {}

    @hookimpl
    async def provision_runner(self, runner: Runner) -> Machine:
        return self.machines.setdefault(runner.id, Machine(runner=runner.id, id="machine"))

    @hookimpl
    async def destroy_runner(self, runner: Runner) -> None:
        self.machines.pop(runner.id, None)

    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return list(self.machines.values())

    @hookimpl
    async def capacity(self) -> list[Room]:
        return [Room(name="here")]


def said(arguments: Mapping[str, Any]) -> str:
    """The state of what a hook is told of."""
    subject = arguments.get("job") or arguments.get("runner")
    return str(subject.state) if subject and "before" in arguments else ""


@pytest.fixture
async def calls(tmp_path: Path) -> list[HookCall]:
    """What is called while one job goes through a whole scaler, by the time at which it began."""
    seen: list[HookCall] = []
    (tmp_path / "scaler.toml").write_text(SETTINGS)
    loaded = load_settings(
        tmp_path / "scaler.toml",
        extra={"everyone": Everyone, "source": Source, "provisioner": Provisioner},
    )
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(_serve(seen), *loaded)
        with trio.fail_after(20):
            view = running.view()
            while not any(call.hook == "destroy_runner" for call in seen) or view.runners:
                view = await running.next_view(view)
            running.stop()
            await running.stopped.wait()
    return sorted(seen, key=lambda call: call.began)


def _serve(seen: list[HookCall]) -> Any:
    async def serving(*loaded: Any, task_status: trio.TaskStatus[Running]) -> None:
        await serve(*loaded, trace=seen.append, task_status=task_status)

    return serving


# --- the one against the other ---------------------------------------------------------


def test_every_hook_is_in_the_picture_and_in_no_wrong_place() -> None:
    told = {hook for hook, _ in drawn("told")}
    asked = {hook for hook, _ in drawn("asked")}
    assert told | asked | {*beside()} == {*hook_names()}
    assert told == {
        name for name in hook_names() if contract(getattr(SPEC, name)).kind is Kind.TELL
    }


def test_the_page_says_in_words_what_the_picture_shows() -> None:
    assert written(2) == drawn("told")
    assert [hook for hook, _ in written(1)] == [hook for hook, _ in drawn("asked")]
    below = PAGE.read_text().partition("Beside that")[2].partition("\n## ")[0]
    named = [hook for hook in re.findall(r"`(\w+)`", below) if hook in hook_names()]
    assert {*beside()} <= {*named}


def test_the_picture_can_be_read_in_light_and_dark_and_aloud() -> None:
    text = PICTURE.read_text()
    root = ET.parse(PICTURE).getroot()
    labels = {each.get("id"): each.text for each in root if each.get("id")}
    assert [labels[name] for name in (root.get("aria-labelledby") or "").split()]
    assert "prefers-color-scheme: dark" in text


async def test_one_job_goes_through_the_hooks_as_the_picture_shows(calls: list[HookCall]) -> None:
    """Asked and told are two orders: what is told waits in a mailbox for its reader's turn."""
    steps = [(call.hook, said(call.arguments)) for call in calls]
    shown = {hook for hook, _ in drawn("told") + drawn("asked")}
    told = [step for step in steps if contract(getattr(SPEC, step[0])).kind is Kind.TELL]
    asked = [hook for hook, _ in steps if hook in shown - {hook for hook, _ in told}]
    assert told == drawn("told")
    assert asked == [hook for hook, _ in drawn("asked")]
    start = [*dict.fromkeys(hook for hook, _ in steps if hook not in {*shown, "run_service"})]
    lists, checks = start[:3], start[3:]
    assert (sorted(lists), checks) == (
        ["capacity", "list_machines", "list_registrations"],
        ["check"],
    )
    assert all(call.outcome == "answered" for call in calls), [call.text for call in calls]
