"""One call of a hook as it was seen: for `--trace-hooks`, and for tests that look."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("scaler.hooks")

Verdict = Literal["answered", "said", "failed"]


@dataclass(frozen=True, kw_only=True)
class HookCall:
    """A hook of one plugin that was called, and has ended or was given up.

    Attributes:
        arguments: What the hook was called with, by name.
        began: When, on the event loop's clock.
        seconds: How long the caller waited.
        outcome: `answered`; `said` an expected outcome (`Busy`, …); or `failed`, which is a fault
            of the plugin's or that the call was cancelled from outside.
        text: The answer, what was said, or what is wrong, in at most 200 printable characters for
            an answer. Secrets print as `***`.
        answer: The answer itself.
    """

    plugin: str
    hook: str
    arguments: Mapping[str, object]
    began: float
    seconds: float
    outcome: Verdict
    text: str
    answer: object = None


def tell(trace: Callable[[HookCall], None], call: HookCall) -> None:
    """Hand it on; who looks on must not change what is seen."""
    try:
        trace(call)
    except Exception:
        log.exception("what follows hooks failed")
