"""A whole scaler around one's own plugin, for as long as a test needs it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from scaler.app import Running, serve
from scaler.settings import load
from scaler.testing.fakeplugins import FakeProvisioner, FakeSource
from scaler.testing.recorder import HookRecorder
from scaler.testing.site import complete
from scaler.testing.stage import bare

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.records import Runner, View

_STOPPING = 40.0  # seconds: the grace that settings give by default, and some


@dataclass(frozen=True, kw_only=True)
class TestedScaler:
    """A scaler that runs.

    Attributes:
        running: The scaler itself.
        hooks: Every call of a hook.
        source: The source that was filled in; None where the settings have one.
        provisioner: The provisioner that was filled in; None where the settings have one.
    """

    __test__ = False

    running: Running
    hooks: HookRecorder
    source: FakeSource | None
    provisioner: FakeProvisioner | None

    def view(self) -> View:
        """What there is now."""
        return self.running.view()

    async def until(self, true: Callable[[View], Any], within: float = 10.0) -> View:
        """Wait until something is true of the view; answer it.

        Raises:
            trio.TooSlowError: It is not, so many seconds later.
        """
        view = self.running.view()
        with trio.fail_after(within):
            while not true(view):
                view = await self.running.next_view(view)
        return view

    async def runner(self, state: str, within: float = 10.0) -> Runner:
        """Wait for a runner in this state; answer the first."""

        def found(view: View) -> list[Runner]:
            return [each for each in view.runners if each.state == state]

        return found(await self.until(found, within))[0]


@asynccontextmanager
async def run_scaler(
    *classes: type[Any],
    settings: str = "",
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    hooks: HookRecorder | None = None,
) -> AsyncIterator[TestedScaler]:
    """Run a scaler with these plugins, and stop it at the end of the block.

    It is the real one, with a ledger on the disk. Where no plugin registers runners, or none makes
    machines, a `FakeSource` or a `FakeProvisioner` does.

    Args:
        *classes: The classes of plugins; what the settings call them is their class's name in lower
            case, unless the settings have one table more than there are installed plugins.
        settings: TOML, as a site would write it; what is missing is filled in.
        environ: Where secrets that the settings give by `env` come from.
        folder: Where its state is; a fresh one where it is left out.
        hooks: What its calls are told to; a new one where it is left out.

    Raises:
        SettingsError: The settings are wrong.
        PluginError: A class is no plugin.
    """
    recorder = hooks if hooks is not None else HookRecorder()
    with ExitStack() as stack:
        if folder is None:
            fresh = tempfile.TemporaryDirectory(prefix="scaler-testing-")
            folder = Path(stack.enter_context(fresh))
        source = type("FakeSource", (FakeSource,), {"made": []})
        provisioner = type("FakeProvisioner", (FakeProvisioner,), {"made": []})
        full = complete(
            settings, classes, folder, fakes=(source, provisioner), scaler='tick = "1s"'
        )
        read, loaded = load(full.file, extra=full.extra, environ=environ or {})
        with bare():
            async with trio.open_nursery() as nursery:

                async def run(task_status: trio.TaskStatus[Running]) -> None:
                    await serve(read, loaded, trace=recorder, task_status=task_status)

                running: Running = await nursery.start(run)
                yield TestedScaler(
                    running=running,
                    hooks=recorder,
                    source=_only(source),
                    provisioner=_only(provisioner),
                )
                running.stop()
                with trio.fail_after(_STOPPING):
                    await running.stopped.wait()
                nursery.cancel_scope.cancel()


def _only(cls: Any) -> Any:
    made: list[Any] = cls.made
    return made[-1] if made else None
