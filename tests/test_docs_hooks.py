"""The pages of the hooks: as they are declared, with examples that are run."""

from __future__ import annotations

import logging
import textwrap
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import trio
from tools import hookpages
from tools.hookpages import PAGES, pages, text_of

import scaler
from scaler.api import Deprecation
from scaler.dispatch import Dispatcher
from scaler.errors import HookFault, Outcome, PluginError
from scaler.hooks import SPEC, Kind, contract, hook_names
from scaler.loading import register
from scaler.loading.verify import wrongs
from scaler.records import (
    Decline,
    Job,
    Machine,
    Message,
    Profile,
    Registration,
    Reservation,
    Runner,
    RunnerState,
    Selection,
    SelectionRequest,
    SettingsChange,
    View,
)
from scaler.services import Services
from scaler.testing import PROMISES
from scaler.units import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.once

# --- the pages -------------------------------------------------------------------------


def test_the_pages_are_as_the_hooks_are_declared() -> None:
    written = {path.name: path.read_text() for path in PAGES.glob("*.md")}
    assert written == pages(), "write them anew: python tools/hookpages.py"


@pytest.mark.parametrize("hook", hook_names())
def test_every_hook_says_what_it_is_given_and_what_it_answers(hook: str) -> None:
    text = text_of(hook)
    declared = [*getattr(scaler.hooks.Spec, hook).__annotations__]
    assert declared == [*text.arguments, "return"]
    assert text.example.startswith("@hookimpl\n")
    assert text.returns or contract(getattr(SPEC, hook)).kind is Kind.TELL


def test_every_promise_is_on_a_page() -> None:
    assert {promise.hook for promise in PROMISES} <= {"", *hook_names()}
    made = pages()
    for promise in PROMISES:
        text = made[f"{promise.hook or 'index'}.md"]
        assert text.count(f"- **{promise.name}**: ") == 1, promise.name


def test_what_is_deprecated_is_said_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Deprecation(since="1.4", gone="2.0", instead="use the other one")
    names = {"Spec.check": row, "Spec.on_job_changed.before": row}
    monkeypatch.setattr(hookpages, "DEPRECATED", names)
    changed = {name for name, text in pages().items() if "gone with 2.0: use the other" in text}
    assert changed == {"check.md", "on_job_changed.md"}


# --- the examples ----------------------------------------------------------------------

RUNNER = Runner(
    id=7,
    name="linux.7@host",
    profile="linux",
    state=RunnerState.IDLE,
    registration=Registration(name="linux.7@host", ref="12"),
)
#: What hooks are called with in the tests, by the names of their arguments.
SAMPLES: dict[str, Any] = {
    "before": None,
    "change": SettingsChange(config=True, added=("linux",), removed=("windows",), changed=("mac",)),
    "job": Job(id="j1", state="offered", profile="linux", repository="acme/frozen"),
    "jobs": [Job(id="j1", state="offered", profile="linux")],
    "machine": Machine(runner=7, id="uuid-7"),
    "message": Message(id="m1", profile="linux"),
    "profile": Profile(name="linux"),
    "registration": Registration(name="linux.7@host", ref="12", config=Secret("the config")),
    "request": SelectionRequest(unique_id="u", qualified_repo="acme/web", run_id="1"),
    "reservation": Reservation(unique_id="u", qualified_repo="acme/web", run_id="1", since=1.0),
    "runner": RUNNER,
    "view": View(
        version=1,
        time=1.0,
        scaler="host",
        stopping=False,
        profiles={},
        jobs=(),
        runners=(),
        rooms={},
        reports=(),
        waiting={},
        events=(),
    ),
}


class Domain:
    """A machine, as the hypervisor has it."""

    def __init__(self, scaler: str, runner: int, uuid: str) -> None:
        self.scaler = scaler
        self.runner = runner
        self.uuid = uuid


class Hypervisor:
    """Stands for what makes machines."""

    def __init__(self) -> None:
        self.there = {"elsewhere/7": Domain("elsewhere", 7, "uuid-0")}

    async def find(self, tag: str) -> str | None:
        return self.there[tag].uuid if tag in self.there else None

    async def create(self, tag: str, name: str, config: str) -> str:
        assert (name, config) == ("linux.7@host", "the config")
        scaler, _, runner = tag.partition("/")
        self.there[tag] = Domain(scaler, int(runner), f"uuid-{len(self.there)}")
        return self.there[tag].uuid

    async def destroy(self, uuid: str) -> None:
        self.there = {tag: each for tag, each in self.there.items() if each.uuid != uuid}

    async def domains(self) -> list[Domain]:
        return list(self.there.values())

    async def screenshot(self, uuid: str) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + uuid.encode()


class Made:
    """What the other side answers to a registration."""

    id = 12
    config = "the config"


class Api:
    """Stands for the other side of a source."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.labels: dict[str, Reservation | None] = {}

    async def register(self, name: str) -> Made:
        self.names.add(name)
        return Made()

    async def remove(self, name: str) -> None:
        self.names.discard(name)

    async def label(self, ref: str, reservation: Reservation | None) -> None:
        self.labels[ref] = reservation

    async def runners(self) -> AsyncIterator[str]:
        for name in sorted(self.names):
            yield name


class Queue:
    """Stands for where a source acquires jobs."""

    def __init__(self) -> None:
        self.joined = {"windows": "from before", "mac": "from before"}

    async def acquire(self, jobs: list[Job]) -> list[Job]:
        return jobs

    async def join(self, profile: str, settings: str) -> None:
        assert profile not in self.joined
        self.joined[profile] = settings

    async def leave(self, profile: str) -> None:
        del self.joined[profile]


class Config:
    """What the examples use of their settings."""

    interval = 5


class Surroundings:
    """What the examples use of their context."""

    scaler = "host"
    config = Config()
    own: ClassVar = {"linux": "as it is now", "mac": "as it is now"}
    log = logging.getLogger("scaler.examples")

    def __init__(self) -> None:
        self.stopping = trio.Event()


class StandIn:
    """What the examples use of their plugin."""

    trusted = frozenset({"acme/web"})
    left = 3

    def __init__(self, context: Surroundings) -> None:
        self.context = context
        self.api, self.queue, self.hypervisor = Api(), Queue(), Hypervisor()
        self.polls = self.finished = 0

    async def poll_once(self) -> None:
        self.polls += 1
        await trio.sleep(1)

    def registration(self, name: str) -> Registration:
        return Registration(name=name, ref="12", online=True, busy=False)

    def machine(self, domain: Domain) -> Machine:
        return Machine(runner=domain.runner, id=domain.uuid)


def plugin_of(**changed: str) -> Any:
    """A plugin of all the examples, some of them changed."""
    examples = {name: text_of(name).example for name in hook_names()} | changed
    body = "\n\n".join(examples.values())
    names = {name: getattr(scaler, name) for name in scaler.__all__} | {
        "StandIn": StandIn,
        "trio": trio,
    }
    code = f"class Example(StandIn):\n{textwrap.indent(body, '    ')}"
    exec(compile(code, "examples.py", "exec"), names)
    return names["Example"](Surroundings())


async def call(plugin: Any, hook: str, **arguments: Any) -> Any:
    """Call one hook as the core does; its answer.

    Raises:
        HookFault: It breaks its contract.
        PluginError: It cannot be loaded.
        Outcome: It says that it has no answer.
    """
    declared = getattr(SPEC, hook)
    wanted = [name for name in declared.__annotations__ if name != "return"]
    samples = {name: arguments.get(name, SAMPLES.get(name)) for name in wanted}
    faults: list[HookFault] = []
    said: Exception | None = None
    answer: Any = None
    manager = register({"example": plugin})
    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(manager, nursery, faults.append)
        try:
            answer = await delivered(dispatcher, plugin, declared, samples, faults)
        except (HookFault, Outcome) as error:
            said = error
        nursery.cancel_scope.cancel()
    for fault in faults:
        raise fault
    if said is not None:
        raise said
    return answer


async def delivered(
    dispatcher: Dispatcher,
    plugin: Any,
    declared: Callable[..., Any],
    samples: dict[str, Any],
    faults: list[HookFault],
) -> Any:
    """Call a hook by the way of its kind."""
    terms = contract(declared)
    if terms.kind is Kind.OWN:
        return await serve(dispatcher, plugin, faults)
    if terms.kind is Kind.TELL:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatcher.run_mailboxes)
            dispatcher.tell(declared, **samples)
            await dispatcher.drain_mailboxes()
            nursery.cancel_scope.cancel()
        return None
    if terms.kind is Kind.ASK:
        return await dispatcher.ask(declared, **samples)
    if terms.kind is Kind.ROUTE:
        limit = min(terms.deadline, SAMPLES["profile"].start_timeout)
        return await dispatcher.route("example", limit, declared, **samples)
    return (await dispatcher.gather(declared, **samples)).answers.get("example")


async def serve(dispatcher: Dispatcher, plugin: Any, faults: list[HookFault]) -> None:
    """Run its service until it is told to stop, and 10 s longer at most."""

    def failed(name: str, text: str) -> None:
        faults.append(HookFault(name, "run_service", text))

    services = Services(dispatcher, failed, lambda _name: None, plugin.context.stopping)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(services.run)
        await services.attempted()
        await trio.sleep(5)
        plugin.context.stopping.set()
        nursery.cancel_scope.deadline = trio.current_time() + 10
    if nursery.cancel_scope.cancelled_caught:
        failed("example", "it does not stop")


def test_the_examples_make_a_plugin_that_is_loaded() -> None:
    assert wrongs(type(plugin_of())) == []


@pytest.mark.parametrize("hook", hook_names())
async def test_an_example_answers_what_its_hook_may(hook: str, autojump_clock: object) -> None:
    answer = await call(plugin_of(), hook)
    assert (answer is not None) == (contract(getattr(SPEC, hook)).answers is not None)


#: For each way to be wrong: the hook, a part of its example, and what is put there.
WRONG = {
    "no list": ("check", "[Finding(", "(Finding("),
    "another type": ("register_runner", "return Registration(", "return dict("),
    "another type in a list": ("capacity", "Room(name=", "dict(name="),
    "a field of another type": ("provision_runner", "id=uuid", "id=runner"),
    "nothing": ("screenshot", "return await", "await"),
    "an objection that is a text": ("on_job_available", "Decline(reason=", "str("),
    "a name that is none": ("on_message", "message.jobs", "message.job"),
    "an argument that is none": ("select_runner", "request):", "asked):"),
    "a title that is missing": ("render_dashboard", 'title="Quota", ', ""),
    "a service that does not start": (
        "run_service",
        "task_status.started()",
        "await trio.sleep(9e9)",
    ),
    "a service that does not stop": ("run_service", "not self.context.stopping.is_set()", "True"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_example_that_is_wrong_would_be_found(wrong: str, autojump_clock: object) -> None:
    hook, right, instead = WRONG[wrong]
    text = text_of(hook).example
    assert text.count(right) == 1, "the example has changed: change it here, too"
    text = text.replace(right, instead)
    if wrong == "no list":
        text = text.replace("]", ")")
    with pytest.raises((HookFault, PluginError)):
        await call(plugin_of(**{hook: text}), hook)


async def test_the_examples_keep_their_promises() -> None:
    plugin = plugin_of()
    first = await call(plugin, "provision_runner")
    assert await call(plugin, "provision_runner") == first, "asked twice, there is one machine"
    assert first.id != "uuid-0", "that is another scaler's"
    assert await call(plugin, "list_machines") == [Machine(runner=7, id=first.id)]
    for _ in range(2):
        await call(plugin, "destroy_runner")
        assert await call(plugin, "list_machines") == []
    assert [each.uuid for each in await plugin.hypervisor.domains()] == ["uuid-0"]

    await call(plugin, "register_runner")
    assert [each.name for each in await call(plugin, "list_registrations")] == [RUNNER.name]
    for _ in range(2):
        await call(plugin, "unregister_runner")
        assert await call(plugin, "list_registrations") == []

    assert await call(plugin, "select_runner") == ("example", Selection(profile="linux", count=1))
    stranger_asks = SelectionRequest(unique_id="u", qualified_repo="evil/web", run_id="1")
    assert await call(plugin, "select_runner", request=stranger_asks) is None
    assert isinstance(await call(plugin, "on_job_available"), Decline)
    other = Job(id="j2", state="offered", repository="acme/web")
    assert await call(plugin, "on_job_available", job=other) is None

    await call(plugin, "on_settings_changed")
    assert plugin.interval == 5
    assert plugin.queue.joined == {"linux": "as it is now", "mac": "as it is now"}
