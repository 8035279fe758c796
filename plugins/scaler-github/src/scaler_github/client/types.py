"""The wire's types, read so that what GitHub may add, leave out or spell otherwise does no harm.

Unknown fields are ignored, `null` counts as left out, numbers may come as strings; ids are int64.
A wrong type where nothing can be guessed is a `msgspec.ValidationError`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**63 - 1)]
MessageId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
NOTHING = msgspec.Raw(b"null")
T = TypeVar("T")


class Wire(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Base of every wire type."""


class Label(Wire, frozen=True):
    """A label of a scale set."""

    name: str
    type: str = "System"


class Statistics(Wire, frozen=True):
    """What the queue counts for a scale set, as totals."""

    total_available_jobs: Count = 0
    total_acquired_jobs: Count = 0
    total_assigned_jobs: Count = 0
    total_running_jobs: Count = 0
    total_registered_runners: Count = 0
    total_busy_runners: Count = 0
    total_idle_runners: Count = 0

    @property
    def waiting(self) -> bool:
        """Whether some job has no runner yet."""
        return self.total_available_jobs > 0 or self.total_assigned_jobs > self.total_running_jobs


class ScaleSet(Wire, frozen=True):
    """A runner scale set."""

    id: Int64
    name: str = ""
    runner_group_id: Int64 = 0
    runner_group_name: str = ""
    labels: list[Label] = []
    statistics: Statistics | None = None


class RunnerGroup(Wire, frozen=True):
    """A runner group."""

    id: Int64
    name: str = ""
    is_default_group: bool = False


class Session(Wire, frozen=True):
    """A session of the message queue; whoever holds its token reads the scale set's messages."""

    session_id: str = ""
    owner_name: str = ""
    message_queue_url: str = ""
    message_queue_access_token: str = ""
    statistics: Statistics | None = None

    def __repr__(self) -> str:
        return f"Session(session_id={self.session_id!r})"


class Envelope(Wire, frozen=True):
    """A message of the queue, as it came: each part is read apart, so that one odd part leaves the
    others their meaning.
    """

    message_id: msgspec.Raw = NOTHING
    message_type: msgspec.Raw = NOTHING
    body: msgspec.Raw = NOTHING
    statistics: msgspec.Raw = NOTHING


class JobMessage(Wire, frozen=True):
    """One entry of a message's body, of any of the four types."""

    message_type: str
    runner_request_id: Int64 = 0
    job_id: str = ""
    acquire_job_url: str = ""
    repository_name: str = ""
    owner_name: str = ""
    job_workflow_ref: str = ""
    job_display_name: str = ""
    workflow_run_id: Int64 = 0
    event_name: str = ""
    request_labels: list[str] = []
    queue_time: str = ""
    scale_set_assign_time: str = ""
    runner_assign_time: str = ""
    finish_time: str = ""
    runner_id: Int64 = 0
    runner_name: str = ""
    result: str = ""


class AcquirableJob(JobMessage, frozen=True):
    """One entry of the list of acquirable jobs; what it is goes without saying."""

    message_type: str = "JobAvailable"


class Agent(Wire, frozen=True):
    """A registered runner."""

    id: Int64
    name: str = ""
    runner_scale_set_id: Int64 = 0
    status: str | int = ""
    busy: bool | None = None

    @property
    def online(self) -> bool | None:
        """None where the answer does not tell."""
        return online(self.status)


class JitConfig(Wire, frozen=True):
    """A just-in-time registration. Whoever holds the config is the runner."""

    runner: Agent
    encoded_jit_config: str = msgspec.field(name="encodedJITConfig")

    def __repr__(self) -> str:
        return f"JitConfig(runner={self.runner!r})"


class RegistrationToken(Wire, rename=None, frozen=True):
    """The answer of registration-token."""

    token: str

    def __repr__(self) -> str:
        return "RegistrationToken(***)"


class InstallationToken(Wire, rename=None, frozen=True):
    """The answer of an App's access_tokens."""

    token: str
    expires_at: str = ""

    def __repr__(self) -> str:
        return "InstallationToken(***)"


class AdminConnection(Wire, rename=None, frozen=True):
    """The answer of runner-registration."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"AdminConnection(url={self.url!r})"


def read(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode a body. Raises ValueError (msgspec's errors are ValueErrors) for any fault in it."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (ValueError, RecursionError):  # what is odd but can be made sense of takes longer
        return convert(decode(body), kind)


def decode(body: bytes | str | msgspec.Raw) -> Any:
    """Decode JSON into plain values; raise ValueError for anything that is not JSON."""
    return parts(body, Any)


def parts(body: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Decode JSON into a type whose parts are left as they came; raise ValueError for a fault."""
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        raise TooDeep("nested too deeply") from None


class TooDeep(ValueError):
    """JSON that nobody can read without risk: whether it is whole is not known."""


def convert(value: Any, kind: type[T]) -> T:
    """Turn plain values into a wire type."""
    try:
        return msgspec.convert(_tidy(value), kind, strict=False)
    except RecursionError:
        raise TooDeep("nested too deeply") from None


def _tidy(value: Any) -> Any:
    """Leave nulls out, so that a default takes their place; ids that may be numbers become text."""
    if isinstance(value, dict):
        tidied = {key: _tidy(item) for key, item in value.items() if item is not None}
        if isinstance(job := tidied.get("jobId"), int | float):
            tidied["jobId"] = str(job)
        return tidied
    if isinstance(value, list):
        return [_tidy(item) for item in value if item is not None]
    return value


def online(status: str | int) -> bool | None:
    """Whether a runner's status, a word or its number, says online; None where it says neither."""
    words = {"online": True, "2": True, "offline": False, "1": False}
    return words.get(str(status).lower())


def read_list(body: bytes, kind: type[T], wanted: Callable[[str], bool] | None = None) -> list[T]:
    """Decode `{count, value: […]}`; raise ValueError where the list is not complete.

    Args:
        wanted: By its name, whether an entry is; what others make of theirs is not looked at.
    """
    plain = decode(body)
    if not isinstance(plain, dict) or not isinstance(items := plain.get("value"), list):
        raise ValueError("no list of values in the answer")
    count = plain.get("count")
    if isinstance(count, int) and count != len(items):
        raise ValueError(f"{count} values announced, {len(items)} came")
    return [convert(item, kind) for item in items if wanted is None or named(item, wanted)]


def named(entry: Any, wanted: Callable[[str], bool]) -> bool:
    """Whether an entry of a list has a name that is wanted."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return isinstance(name, str) and wanted(name)


def unix_time(text: str) -> float | None:
    """A time of the wire in Unix seconds; None for the zero time, and for what is not a time."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    if when.year <= 1:  # .NET's zero; asking for its timestamp overflows
        return None
    try:
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
