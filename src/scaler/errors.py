"""What plugins raise to say an expected outcome, and what ends the process with an exit code."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(enum.IntEnum):
    """What the command line exits with."""

    OK = 0  #: stopped cleanly
    FAILED = 1  #: failed while running
    USAGE = 2  #: the command line was not understood
    SETTINGS = 3  #: the settings are wrong; nothing was started
    PLUGIN = 4  #: a plugin could not be loaded; nothing was started
    FORCED = 70  #: something did not end, or blocked the event loop, and the process was ended


class ScalerError(Exception):
    """Base of every error of scaler's own."""


class Outcome(ScalerError):
    """An expected outcome of a hook, not a fault: it is never counted against the plugin."""


class Busy(Outcome):
    """The runner is running a job (or may be): it must be left alone for now."""


class Gone(Outcome):
    """What is asked about does not exist any more, for certain."""


class NoRoom(Outcome):
    """The room named by `runner.room` cannot take this machine now."""


class Unavailable(Outcome):
    """The other side cannot be asked now; nothing is known about what it holds.

    Args:
        text: What was seen, for people.
        retry_after: Seconds to wait before the next try, where the other side told.
    """

    def __init__(self, text: str = "", retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Incomplete(Unavailable):
    """A list lacks what could not be asked: what it holds is known, what is missing says nothing.

    Args:
        listed: What there is for certain, as the hook would have answered it.
        text: What could not be asked, for people.
        retry_after: Seconds to wait before the next try, where the other side told.
    """

    def __init__(
        self, listed: Sequence[Any], text: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(text, retry_after)
        self.listed = list(listed)


class Refused(Outcome):
    """A reservation is refused.

    Args:
        code: A short word for programs, such as `artifact-too-old`.
        text: One sentence for people.
    """

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code


class GuestError(ScalerError):
    """A guest that asks is given nothing; the text says why."""


class GuestUnknown(GuestError):
    """No machine here is known by this address or secret, or there is nothing for it."""


class GuestAmbiguous(GuestError):
    """More than one machine has this address, so it proves nothing."""


class GuestNotReady(GuestError):
    """It may be known soon.

    Args:
        text: What is waited for.
        retry_after: Seconds after which to ask again.
    """

    def __init__(self, text: str, retry_after: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class GuestUsed(GuestError):
    """What it asks for was given already, or is of no use any more."""


class HookFault(ScalerError):
    """A plugin broke its contract: raised, took too long, or returned the wrong type.

    Past a deadline the outcome of the call is unknown, never "not done".
    """

    def __init__(self, plugin: str, hook: str, text: str) -> None:
        super().__init__(f"{plugin}.{hook}: {text}")
        self.plugin = plugin
        self.hook = hook
        self.text = text


class Blocked(BaseException):
    """Raised within a plugin's hook that has blocked the event loop, to break it off."""


class FatalError(ScalerError):
    """Ends the process before or while it runs; a person reads the text, without a traceback."""

    exit_code = ExitCode.FAILED


class SettingsError(FatalError):
    """The settings are wrong. `problems` holds every one of them."""

    exit_code = ExitCode.SETTINGS

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PluginError(FatalError):
    """A plugin could not be imported, or names a hook wrongly."""

    exit_code = ExitCode.PLUGIN
