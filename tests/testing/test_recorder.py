"""What the recorder says where the call that is waited for does not come."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from scaler.dispatch import HookCall
from scaler.testing import HookRecorder


async def test_it_tells_what_was_called_instead(autojump_clock: MockClock) -> None:
    recorder = HookRecorder()
    recorder(
        HookCall(
            plugin="toy",
            hook="capacity",
            arguments={},
            began=0.0,
            seconds=0.0,
            outcome="answered",
            text="[]",
        )
    )
    assert (await recorder.wait_for("capacity")).plugin == "toy"
    with pytest.raises(trio.TooSlowError, match=r"called were toy\.capacity \(1\)"):
        await recorder.wait_for("destroy_runner")
    with pytest.raises(LookupError, match="no hook 'destroy_runners'"):
        await recorder.wait_for("destroy_runners")
