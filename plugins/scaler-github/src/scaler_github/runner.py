"""What holds for a runner of GitHub, however it was registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler import Runner

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
