"""Calls of a source's hooks for runners of the check's own, and what they are judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from scaler.errors import HookFault, Outcome
from scaler.hooks import SPEC, contract
from scaler.records import Registration, Runner, RunnerState
from scaler.testing.promises import promised, repeated
from scaler.testing.promises_source import LISTS, NOT_OURS_TO_SAY, ONLY_OURS, REGISTERS

if TYPE_CHECKING:
    from scaler.testing.promises import Promise
    from scaler.testing.stage import Stage
    from scaler.testing.trial import Trial

PATIENCE = contract(SPEC.unregister_runner).deadline + 60.0  # seconds for what is repeated
_SHORTEST = 8  # characters of a config that is looked for in logs


def runner_of(trial: Trial, profile: str, number: int, scaler: str) -> Runner:
    """A runner as it stands in the ledger before anything of it was made."""
    settings = trial.site.settings.profiles[profile]
    return Runner(
        id=number,
        name=f"{profile}.{number}@{scaler}",
        profile=profile,
        state=RunnerState.PLANNED,
        source=trial.site.name,
        provisioner=next(iter(settings.provisioners), ""),
        resources=settings.resources,
    )


class Desk:
    """One instance of the source, at work.

    Args:
        trial: The check.
        stage: The instance.
        settle: Seconds within which a list must come right.
    """

    def __init__(self, trial: Trial, stage: Stage, settle: float) -> None:
        self.stage = stage
        self._trial = trial
        self._settle = settle

    async def register(self, runner: Runner, promise: Promise = REGISTERS) -> Registration:
        """Register a runner, and look at the answer."""
        doing = f"registering {runner.name}"
        with promised(promise, doing):
            made = await self.stage.call(SPEC.register_runner, runner=runner)
        if made.name != runner.name:
            raise REGISTERS.broken(f"{doing}: the answer is named {made.name!r}")
        if not made.ref:
            raise REGISTERS.broken(f"{doing}: the answer has no ref")
        if made.config is None or not made.config:
            raise REGISTERS.broken(f"{doing}: the answer has no config")
        config = made.config.reveal()
        if len(config) >= _SHORTEST:
            self._trial.secrets[config] = f"the config of {runner.name}"
        return made

    async def unregister(self, runner: Runner, promise: Promise, doing: str) -> None:
        """Unregister a runner: it may say that it is not done yet, but has to be at last."""
        with promised(promise, f"{doing} ({runner.name})"):
            await repeated(lambda: self.stage.call(SPEC.unregister_runner, runner=runner), PATIENCE)

    async def unregister_at_last(self, runner: Runner, promise: Promise, doing: str) -> None:
        """The same, again and again as the core does it, as long as it may take."""
        pause, until = 0.02, trio.current_time() + PATIENCE
        while True:
            try:
                return await self.stage.call(SPEC.unregister_runner, runner=runner)
            except (HookFault, Outcome) as error:
                wait = max(pause, getattr(error, "retry_after", None) or 0.0)
                if trio.current_time() + wait > until:
                    seen = f"{doing} ({runner.name}): after {PATIENCE:g} s still: {error}"
                    raise promise.broken(seen) from error
            await trio.sleep(wait)
            pause = min(5.0, pause * 2)

    async def names(self) -> Counter[str]:
        """How often each name is listed."""
        with promised(LISTS, f"listing registrations, with settle={self._settle:g}"):
            listed = await repeated(lambda: self.stage.call(SPEC.list_registrations), self._settle)
        self._trial.said.append(("list_registrations", listed))
        for each in listed:
            if not each.name.endswith(f"@{self.stage.scaler}"):
                raise ONLY_OURS.broken(
                    f"{each.name} is listed for the scaler {self.stage.scaler!r}"
                )
        return Counter(each.name for each in listed)

    async def sees(
        self,
        *,
        there: Iterable[Runner] = (),
        lost: Promise = LISTS,
        gone: Iterable[Runner] = (),
        left: Promise | None = None,
        doing: str,
    ) -> None:
        """Look at the list, until it is right or the time to settle is over.

        Args:
            there: Those that must be listed, once each.
            lost: The promise that is broken where one is not.
            gone: Those that must not be listed.
            left: The promise that is broken where one is.
            doing: After what.
        """
        until = trio.current_time() + self._settle
        while True:
            names = await self.names()
            wrong = next((each.name for each in there if names[each.name] != 1), None)
            stays = next((each.name for each in gone if names[each.name]), None)
            if wrong is None and stays is None:
                return
            if trio.current_time() >= until:
                break
            await trio.sleep(max(0.05, self._settle / 20))
        shown = ", ".join(sorted(names)) or "nothing"
        if stays is not None and left is not None:
            raise left.broken(f"after {doing}: {stays} is still listed")
        raise lost.broken(
            f"after {doing}: {wrong} is listed {names[wrong or '']} times; listed: {shown}"
        )

    def no_gone(self, runners: Iterable[Runner]) -> None:
        """See that none of these was said to have gone by itself."""
        names = {each.name for each in runners}
        for each in self.stage.core.registrations:
            if each.gone and each.name in names:
                raise NOT_OURS_TO_SAY.broken(f"registration_changed was told that {each.name} is")
