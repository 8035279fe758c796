"""The proof itself: a few lines of `key=value` that say who may have which runners."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_github.selecting.codes import Code, refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler_github.selecting.query import Query

MOST_LINES = 20
NEEDED = ("unique_id", "qualified_repo", "run_id", "self_hosted_image_name")
COUNT = "self_hosted_runner_count"
_LINE = re.compile(r"([a-z_]{1,40})=([\x20-\x7e]{1,200})")
_NUMBER = re.compile(r"[0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof asks for."""

    profile: str
    count: int


def judged(text: bytes, query: Query, profiles: Collection[str], most: int) -> Proof:
    """What a proof asks for, where it is about this very query.

    Args:
        profiles: The keys of those that there are.
        most: Runners that one reservation may have.

    Raises:
        Refused: It is not written as it must be, or is about something else.
    """
    told = fields(text)
    asked = {"unique_id": query.unique_id, "run_id": query.run_id}
    for key, value in asked.items():
        if told[key] != value:
            raise refused(Code.MISMATCH, f"its {key} is another one")
    if told["qualified_repo"].lower() != query.repository.lower():  # as GitHub compares them
        raise refused(Code.MISMATCH, "its qualified_repo is another one")
    profile = told["self_hosted_image_name"]
    if profile not in profiles:
        raise refused(Code.PROFILE, f"self_hosted_image_name is {profile!r}")
    return Proof(profile, _count(told.get(COUNT, "1"), most))


def fields(text: bytes) -> Mapping[str, str]:
    """The fields of a proof: all that are needed, each once, and no others.

    Raises:
        Refused: They are not.
    """
    try:
        lines = text.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise refused(Code.PROOF, "it is not UTF-8") from None
    if len(lines) > MOST_LINES:
        raise refused(Code.PROOF, f"more than {MOST_LINES} lines")
    told: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        # (a byte-order mark, a NUL, a carriage return: none of these is in what a line may hold)
        found = _LINE.fullmatch(line)
        if found is None:
            raise refused(
                Code.PROOF, f"line {number} is not key=value in plain ASCII, LF at its end"
            )
        key, value = found.groups()
        if key not in (*NEEDED, COUNT):
            raise refused(Code.PROOF, f"line {number}: there is no key {key}")
        if key in told:
            raise refused(Code.PROOF, f"line {number}: {key} stands there twice")
        told[key] = value
    if missing := [key for key in NEEDED if key not in told]:
        raise refused(Code.PROOF, f"{missing[0]} is missing")
    return told


def _count(text: str, most: int) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else 0
    if number < 1 or text != str(number):
        raise refused(Code.PROOF, f"{COUNT} must be a number, 1 or more")
    if number > most:
        raise refused(Code.COUNT, f"more than {most}")
    return number
