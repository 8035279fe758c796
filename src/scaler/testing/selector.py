"""The check of a selector: who may reserve is let in, and nobody else, whatever they write."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler.errors import HookFault, Refused, Unavailable
from scaler.hooks import SPEC
from scaler.records import SelectionRequest
from scaler.testing.cutting import cut_short, spread
from scaler.testing.promises import promised, told_in_short
from scaler.testing.promises_selector import AT_ONCE, REFUSES, SELECT_CUT, SELECTS, UNPROVEN
from scaler.testing.trial import check_what_all_have, open_trial

if TYPE_CHECKING:
    from scaler.records import Selection
    from scaler.testing.promises import Promise
    from scaler.testing.site import Make
    from scaler.testing.stage import Stage
    from scaler.testing.trial import Trial

_UNIQUE = "00000000-0000-4000-8000-000000000000"
_PLAIN = SelectionRequest(
    unique_id=_UNIQUE, qualified_repo="nobody/nothing", run_id="1", address="192.0.2.1"
)
_STRANGE = (
    "",
    " ",
    "line\nbreak\r\nX-Header: yes",
    "../../../etc/passwd",
    "nul\0byte",
    "x" * 10_000,
    "ünïcödé \N{SNOWMAN} \u202e",
    "'; DROP TABLE runners; --",
    "<script>alert(1)</script>",
    "{0.__class__} %s ${HOME} $(id)",
    "?page=1&per_page=100#fragment",
    "*",
)
_FIELDS = ("unique_id", "qualified_repo", "run_id", "address")
_MANY = 8  # who ask at the same time


@told_in_short
async def check_selector(
    make: Make,
    *,
    settings: str = "",
    plugin: type[Any] | None = None,
    allowed: SelectionRequest | None = None,
    refused: Sequence[SelectionRequest] = (),
    environ: Mapping[str, str] | None = None,
    points: int = 40,
) -> None:
    """See that a plugin keeps what a selector promises.

    Args:
        make: The plugin's class, or a function (also a coroutine function) that makes the plugin
            of a context.
        settings: TOML, as a site writes it; what is not the plugin's own may be left out.
        plugin: The plugin's class, where `make` is a function.
        allowed: A request that is to be granted, as often as it is asked: no runner is given.
        refused: Requests that are not.
        environ: Where secrets that the settings give by `env` come from.
        points: At how many awaits the hook is cancelled, at most, each time in a new instance.

    Raises:
        PromiseBroken: It breaks a promise; the first that was seen.
        ValueError: It has no `select_runner`.
        SettingsError: The settings are wrong.
        PluginError: The plugin's class cannot be used.
    """
    async with open_trial(make, settings=settings, plugin=plugin, environ=environ) as trial:
        check = _Check(trial, allowed, list(refused))
        async with trial.stage() as stage:
            if not stage.has(SPEC.select_runner):
                raise ValueError(f"{stage.name} has no select_runner: it selects nothing")
            await check_what_all_have(stage)
            await check.answers(stage)
        async with trial.stage() as stage:
            await check.strange(stage)
        async with trial.stage() as stage:
            await check.at_once(stage)
        await check.cut_short(points)


class _Check:
    def __init__(
        self, trial: Trial, allowed: SelectionRequest | None, refused: list[SelectionRequest]
    ) -> None:
        self._trial = trial
        self._allowed = allowed
        self._refused = refused

    async def answers(self, stage: Stage) -> None:
        """What is allowed is granted, and what is not is not; the one does not change the other."""
        for _ in range(2):
            for request in self._refused:
                await self._denied(stage, request, REFUSES)
            if self._allowed is not None:
                await self._granted(stage, self._allowed, SELECTS)

    async def strange(self, stage: Stage) -> None:
        """Strange texts in each field: nothing for nobody, and no fault for somebody.

        Somebody who may reserve may do so by whatever the selector goes by, an address for one.
        """
        for field, text in itertools.product(_FIELDS, _STRANGE):
            await self._denied(stage, replace(_PLAIN, **{field: text}), UNPROVEN)
            if self._allowed is not None:
                await self._no_fault(stage, replace(self._allowed, **{field: text}))

    async def at_once(self, stage: Stage) -> None:
        """Many ask at the same time, and each is told what it would be told alone.

        No two of them ask the same: those the core asks for once.
        """
        async with trio.open_nursery() as nursery:
            if self._allowed is not None:
                nursery.start_soon(self._granted, stage, self._allowed, AT_ONCE)
            for request in self._refused:
                nursery.start_soon(self._denied, stage, request, AT_ONCE)
            for number in range(_MANY):
                nobody = replace(_PLAIN, unique_id=f"{_UNIQUE[:-2]}{number:02}")
                nursery.start_soon(self._denied, stage, nobody, AT_ONCE)

    async def cut_short(self, points: int) -> None:
        """Break it off wherever it waits, and ask it again.

        Each time in a new instance: one that was asked before may know the answer.
        """
        allowed = self._allowed
        if allowed is None:
            return
        with promised(SELECT_CUT, "asking"):
            async with self._trial.stage() as stage:
                awaits = await stage.cut(0, SPEC.select_runner, request=allowed)
            if not awaits:
                await self._abandoned(allowed)
            for at in spread(awaits, points):
                async with self._trial.stage() as stage:
                    await stage.cut(at, SPEC.select_runner, request=allowed)
                    await self._granted(stage, allowed, SELECT_CUT)

    async def _abandoned(self, allowed: SelectionRequest) -> None:
        """The same for a plain one: a thread cannot be stopped."""
        async with self._trial.stage() as stage:

            async def arguments(_number: int) -> Mapping[str, Any]:
                return {"request": allowed}

            async def after(_number: int) -> None:
                await self._granted(stage, allowed, SELECT_CUT)

            await cut_short(stage, SPEC.select_runner, 0, arguments, after)

    async def _granted(self, stage: Stage, request: SelectionRequest, promise: Promise) -> None:
        with promised(promise, f"asking with {request!r}"):
            found = await stage.call(SPEC.select_runner, request=request)
        self._trial.said.append(("select_runner", found))
        if found is None:
            raise promise.broken(f"{request!r} is answered None")
        self._sound(found, promise)

    async def _denied(self, stage: Stage, request: SelectionRequest, promise: Promise) -> None:
        shown = repr(request)[:300]
        try:
            found = await stage.call(SPEC.select_runner, request=request)
        except (Refused, Unavailable) as error:
            self._trial.said.append(("a refusal", str(error)))
            return
        except HookFault as fault:
            raise promise.broken(f"{shown} is a fault: {fault}") from fault
        if found is not None:
            raise promise.broken(f"{shown} is answered {found!r}")

    async def _no_fault(self, stage: Stage, request: SelectionRequest) -> None:
        try:
            found = await stage.call(SPEC.select_runner, request=request)
        except (Refused, Unavailable):
            return
        except HookFault as fault:
            raise UNPROVEN.broken(f"{repr(request)[:300]} is a fault: {fault}") from fault
        if found is not None:
            self._sound(found, UNPROVEN)

    def _sound(self, found: Selection, promise: Promise) -> None:
        profiles = self._trial.site.settings.profiles
        if found.profile not in profiles:
            known = ", ".join(profiles)
            raise promise.broken(f"the profile {found.profile!r}; there are: {known}")
        if not (isinstance(found.count, int) and found.count >= 1):
            raise promise.broken(f"a count of {found.count!r}")
