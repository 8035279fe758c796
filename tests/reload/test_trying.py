"""What is tried before anything goes by it."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from scaler import Context, SettingsError, hookimpl, load_settings, serve
from scaler import log as logs
from scaler.app import check

from .conftest import SETTINGS, Queue
from .conftest import Deaf as Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Place


class Wary(Queue):
    """Its profiles' group has to be the host of its sibling."""

    def validate(self) -> None:
        """See that each is there."""
        host = self.context.plugin(type(self).vm).context.config.host  # type: ignore[attr-defined]
        if wrong := [
            name for name, own in self.context.own.items() if own.group not in ("all", host)
        ]:
            raise SettingsError(
                [f"profiles.{name}.queue.group: there is no such host" for name in wrong]
            )


@pytest.fixture
def wary(place: Place) -> type[Any]:
    """A source that looks at its sibling."""
    cls: type[Any] = type("Wary", (Wary,), {"made": [], "vm": place.vms})
    place.extra["queue"] = cls
    return cls


CHANGE = ("[profiles.linux.queue]", '[profiles.linux.queue]\ngroup = "b"')
WRONG = "profiles.linux.queue.group: there is no such host"


async def test_what_is_wrong_between_siblings_is_refused_before_it_counts(
    place: Place, wary: type[Any], autojump_clock: object
) -> None:
    async with place.scaler():
        became = await place.reload(CHANGE)
        assert became.problems == (WRONG,)
        assert wary.made[0].changes == []
        became = await place.reload(("[plugins.vm]", '[plugins.vm]\nhost = "b"'))
        assert became.ok
        assert len(wary.made[0].changes) == 1


async def test_it_is_refused_at_a_start_too(
    place: Place, wary: type[Any], autojump_clock: object
) -> None:
    place.write(SETTINGS, CHANGE)
    settings, loaded = load_settings(place.file, extra=place.extra)
    with pytest.raises(SettingsError, match="there is no such host"):
        await serve(settings, loaded)


def test_check_tells_it(place: Place, wary: type[Any]) -> None:
    place.write(SETTINGS, CHANGE)
    settings, loaded = load_settings(place.file, extra=place.extra)
    with pytest.raises(SettingsError, match="there is no such host"):
        check(settings, loaded)


@pytest.mark.parametrize("wrong", ["raises", "waits"])
async def test_a_validate_that_is_wrong_is_named(
    place: Place, wary: type[Any], wrong: str, autojump_clock: object
) -> None:
    async def wait(_self: object) -> None: ...

    def fail(_self: object) -> None:
        raise RuntimeError("no such thing")

    async with place.scaler():
        wary.validate = wait if wrong == "waits" else fail
        became = await place.running.reload()
        assert not became.ok
        assert "plugin queue: " in became.problems[0]
        assert "validate" in became.problems[0]


async def test_what_would_count_is_tried_where_some_of_the_file_has_to_wait(
    place: Place, autojump_clock: object
) -> None:
    """The deaf one keeps its volume: with that, the file's host is a wrong one."""

    class Deaf(Plain):
        volume: ClassVar = [1]

        def __init__(self, context: Context[Any, Any]) -> None:
            super().__init__(context)
            Deaf.volume[0] = context.config.volume

    class Vm(place.vms):  # type: ignore[name-defined,misc]
        def __init__(self, context: Context[Any, Any]) -> None:
            super().__init__(context)

        def validate(self) -> None:
            if self.context.config.host == "b" and Deaf.volume[0] != 2:
                raise SettingsError(["plugins.vm.host: b is too loud"])

    place.extra |= {"deaf": Deaf, "vm": Vm}
    async with place.scaler():
        became = await place.reload(
            ("[plugins.vm]", '[plugins.vm]\nhost = "b"'),
            ("[plugins.deaf]", "[plugins.deaf]\nvolume = 2"),
        )
        assert became.problems == (
            "plugins.vm.host: b is too loud (with what stays as it is until a restart)",
        )
        assert place.vms.made[0].context.config.host == "a"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the log shows where it was set up as a process does."""
    stream, root = io.StringIO(), logging.getLogger()
    before = root.level, logging.getLogger("scaler").level
    logs.setup("info", stream=stream)
    yield stream
    for handler in logs._handlers():
        root.removeHandler(handler)
    root.setLevel(before[0])
    logging.getLogger("scaler").setLevel(before[1])


async def test_d25_a_new_secret_shows_nowhere_also_where_it_is_refused(
    place: Place, logged: io.StringIO, autojump_clock: object
) -> None:
    token = place.folder / "token"
    token.write_text("the-first-token")
    token.chmod(0o600)

    class Chatty(place.queues):  # type: ignore[name-defined,misc]
        def __init__(self, context: Context[Any, Any]) -> None:
            super().__init__(context)
            context.log.warning("built with %s", context.config.token.reveal())
            if context.config.token.reveal() == "the-second-token":
                raise SettingsError(["plugins.queue.token: the-second-token is no good"])

        @hookimpl
        async def check(self) -> list[Any]:
            return []

    place.extra["queue"] = Chatty
    place.text = SETTINGS.replace("[plugins.queue]", '[plugins.queue]\ntoken = { file = "token" }')
    async with place.scaler():
        token.write_text("the-second-token")
        became = await place.running.reload()
        assert became.problems == ("plugins.queue.token: *** is no good",)
    shown = logged.getvalue()
    assert "built with ***" in shown
    assert "the-second-token" not in shown
    assert "the-first-token" not in shown
