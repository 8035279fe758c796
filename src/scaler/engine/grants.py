"""Answers that need not be kept any longer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.ledger.ledger import LedgerError, Transaction
from scaler.model.grant import KEPT

if TYPE_CHECKING:
    from scaler.engine.state import State

log = logging.getLogger("scaler.reserving")

EVERY = 3600.0  # seconds between two looks


async def forget_old(state: State) -> None:
    """Forget what was answered long ago, for ever."""
    while True:
        transaction, old = Transaction(), []
        for unique_id, grant in state.grants.items():
            if state.clock.wall() - grant.since >= KEPT:
                old.append(unique_id)
                transaction.grant(unique_id, None)
        try:
            await state.keep(transaction=transaction)
        except LedgerError as error:
            log.error("%s", error)
        else:
            for unique_id in old:
                del state.grants[unique_id]
        await trio.sleep(EVERY)
