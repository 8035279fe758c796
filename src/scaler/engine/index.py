"""Which runners are idle, reserved, or known by an address: found without going through all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.model.addresses import normal
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler.model.row import Row
    from scaler.records import Machine


class Index:
    """Follows every change of a row.

    Attributes:
        idle: The ids of idle runners by profile; who has been idle for longest comes first.
        reserved: The ids of reserved runners.
        by_address: The ids of the runners whose running machine has an address, and is not known
            by a secret.
        by_key: The id of the runner whose running machine has this key.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.idle: dict[str, dict[int, None]] = {}
        self.reserved: dict[int, None] = {}
        self.by_address: dict[str, set[int]] = {}
        self.by_key: dict[str, int] = {}
        for row in sorted(rows, key=lambda each: each.entered):
            self.follow(None, row)

    def follow(self, before: Row | None, after: Row | None) -> None:
        """A row was made (`before` is None), changed, or dropped (`after` is None)."""
        old = before.runner if before is not None else None
        new = after.runner if after is not None else None
        if old is new:
            return
        state = old.state if old is not None else None
        now = new.state if new is not None else None
        if state is not now:
            if old is not None and state is RunnerState.IDLE:
                self.idle[old.profile].pop(old.id, None)
            elif old is not None and state is RunnerState.RESERVED:
                self.reserved.pop(old.id, None)
            if new is not None and now is RunnerState.IDLE:
                self.idle.setdefault(new.profile, {})[new.id] = None
            elif new is not None and now is RunnerState.RESERVED:
                self.reserved[new.id] = None
        had = old.machine if old is not None else None
        has = new.machine if new is not None else None
        if had is not has:
            if old is not None:
                self._forget(old.id, had)
            if new is not None:
                self._learn(new.id, has)

    def _forget(self, runner_id: int, machine: Machine | None) -> None:
        if machine is None:
            return
        if machine.key and self.by_key.get(machine.key) == runner_id:
            del self.by_key[machine.key]
        for address in machine.addresses:
            claims = self.by_address.get(normal(address))
            if claims is not None:
                claims.discard(runner_id)
                if not claims:
                    del self.by_address[normal(address)]

    def _learn(self, runner_id: int, machine: Machine | None) -> None:
        if machine is None or machine.state != "running":
            return
        if machine.key:
            self.by_key[machine.key] = runner_id
            return
        for address in machine.addresses:
            self.by_address.setdefault(normal(address), set()).add(runner_id)
