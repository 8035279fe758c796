"""One check from beginning to end: its settings, its stages, and what every plugin promises."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from scaler.hooks import SPEC
from scaler.records import SettingsChange
from scaler.testing.frames import in_short
from scaler.testing.memory import Memory
from scaler.testing.promises_plugin import CHANGES_OF_NOTHING, CHECK_SAYS_HOW, SECRETS
from scaler.testing.site import Make, Site, read_site
from scaler.testing.stage import Stage, bare, held_up, open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = "here"
_SECRET = 8  # characters
ELSEWHERE = "here-2"  # begins like the other: what is told apart by the beginning is mixed up
OTHERS = (ELSEWHERE, "not-here")  # and by its end


class Trial:
    """What the parts of one check share.

    Attributes:
        site: The settings.
        memory: What the instances for the scaler `HERE` leave to each other.
        secrets: Texts that may stand nowhere, and where each comes from.
        said: Whatever the plugin answered that may show no secret.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.memory = Memory()
        self.secrets: dict[str, str] = {}
        self.said: list[tuple[str, object]] = []
        self._stages: list[Stage] = []
        self._ears = _Ears()

    def stage(
        self, scaler: str = HERE, memory: Memory | None = None, *, service: bool = True
    ) -> AbstractAsyncContextManager[Stage]:
        """An instance of the plugin; see `open_stage`.

        Args:
            scaler: The scaler that it works for.
            memory: What was left to it. Left out, what the one before it left; for a scaler other
                than `HERE`, nothing.
            service: Whether services run; none does under `scaler check`.
        """
        if memory is None:
            memory = self.memory if scaler == HERE else Memory()
        return self._noted(open_stage(self.site, scaler=scaler, memory=memory, service=service))

    @asynccontextmanager
    async def _noted(self, opened: AbstractAsyncContextManager[Stage]) -> AsyncIterator[Stage]:
        async with opened as stage:
            self._stages.append(stage)
            yield stage
        if stage.left is not None and stage.memory is self.memory:
            self.memory = stage.left

    def judge(self) -> None:
        """See what is promised all the time.

        Raises:
            PromiseBroken: A hook held the loop up, or a secret is where it may not be.
        """
        slow = [each for stage in self._stages for each in stage.steps.slow]
        held_up(self.site.name, slow, 2)  # (once, it may be the machine that was busy)
        for place, text in self._everything():
            for secret, what in self.secrets.items():
                if secret in text:
                    shown = text.replace(secret, "***")
                    raise SECRETS.broken(f"{what} stands in {place}: {shown[:300]}")

    def _everything(self) -> Iterator[tuple[str, str]]:
        for text in self._ears.heard:
            yield "the log", text
        for place, answer in self.said:
            yield place, repr(answer)
        for stage in self._stages:
            for report in stage.core.reports:
                yield "a report", repr(report)
            for machine in stage.core.machines:
                yield "what machine_changed was told", repr(machine)
            for registration in stage.core.registrations:
                yield "what registration_changed was told", repr(registration)
            for (subject, name), data in stage.memory.kept.items():
                yield f"the evidence {name} of {subject}", data.decode(errors="replace")

    def __enter__(self) -> Self:
        self._ears.listen()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ears.end()


@asynccontextmanager
async def open_trial(
    make: Make,
    *,
    settings: str = "",
    plugin: type[Any] | None = None,
    environ: Mapping[str, str] | None = None,
    runners: int = 3,
) -> AsyncIterator[Trial]:
    """Begin a check; at its end see what is promised all the time. See `read_site`."""
    with tempfile.TemporaryDirectory(prefix="scaler-testing-") as folder:
        site = read_site(
            make, Path(folder), settings=settings, plugin=plugin, environ=environ, runners=runners
        )
        with bare(), Trial(site) as trial:
            for name, value in (environ or {}).items():
                if len(value) >= _SECRET:  # (a shorter one may stand anywhere by chance)
                    trial.secrets[value] = f"the secret {name}"
            yield trial
            trial.judge()


async def check_what_all_have(stage: Stage) -> None:
    """Call those hooks, where there are any, that a plugin of every kind may have.

    Raises:
        PromiseBroken: What `check` found wrong comes without its remedy, a change of nothing waits
            for a restart, or a call failed.
    """
    if stage.has(SPEC.check):
        await _check_findings(stage)
    if stage.has(SPEC.on_settings_changed):
        waits = await stage.answer(SPEC.on_settings_changed, change=SettingsChange())
        if waits:
            raise CHANGES_OF_NOTHING.broken("; ".join(waits))


async def _check_findings(stage: Stage) -> None:
    for finding in await stage.answer(SPEC.check):
        mendable = not finding.ok and finding.need != "unseen"
        if mendable and not finding.fix.strip():
            raise CHECK_SAYS_HOW.broken(f"no fix beside {finding.text!r}")


class _Ears(logging.Handler):
    """Hears all that is logged, with the tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []
        self._logger = logging.getLogger("scaler")
        self._level = self._logger.level

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it as a log file would have it; whoever shows it next shows no lines but its own."""
        self.heard.append(self.format(record))
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = in_short(record.exc_info[1])

    def listen(self) -> None:
        """Begin."""
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)

    def end(self) -> None:
        """Leave the logger as it was."""
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
