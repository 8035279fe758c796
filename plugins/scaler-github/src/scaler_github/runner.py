"""What holds for a runner of GitHub, however it was registered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scaler import Registration, Secret
from scaler_github.places import to_ref

if TYPE_CHECKING:
    from scaler import Runner
    from scaler_github.account import Account

WORK_FOLDER = "_work"
# Seconds. Nobody promises more; users saw an unused configuration die after an hour
# (actions/runner#4248)
CONFIG_LASTS = 45 * 60.0
# A runner whose machine stopped is looked for after so many seconds each, in case GitHub removes
# it by itself
LOOKS = (0.0, 5.0, 5.0)


def stopped_without_a_job(runner: Runner) -> bool:
    """Whether its machine stopped, and nobody told of a job that it had.

    It may have had one all the same: then GitHub removes it by itself, within a moment.
    """
    return runner.machine is not None and runner.machine.state == "stopped" and not runner.job


def issued(account: Account, name: str, number: int, config: str) -> Registration:
    """A registration that was just made, with its configuration."""
    return Registration(
        name=name,
        ref=to_ref(account, number),
        config=Secret(config),
        expires=time.time() + CONFIG_LASTS,
        online=False,
        busy=False,
    )
