"""From the client's failures to the outcomes that the core knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler import Busy, Unavailable
from scaler_github.client import GitHubError, Kind

if TYPE_CHECKING:
    from types import TracebackType


class _Outcomes:
    """Turns the client's failures into the outcomes that the core knows.

    (A class, and not a generator: it is entered for every call that is made for a runner.)
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, GitHubError) or error.kind is Kind.BUG:
            return
        if error.kind is Kind.BUSY:
            raise Busy(str(error)) from None
        raise Unavailable(str(error), error.wait or None) from None


outcomes = _Outcomes()
