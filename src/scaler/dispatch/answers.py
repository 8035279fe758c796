"""Whether an answer is what the hook's contract allows, and a copy of it that nobody else has."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from scaler.sound import copied

if TYPE_CHECKING:
    from scaler.hooks import Contract


def judged(contract: Contract, answer: Any) -> tuple[Any, str]:
    """The answer as plain records of scaler's own; or what is wrong with it, in words.

    To be called where a plugin may raise: what it has answered may do anything when looked at.
    """
    if answer is None:
        return None, "" if contract.none else f"answered None, wanted {_wanted(contract)}"
    if contract.answers is None:
        return None, ""
    if not contract.many:
        if isinstance(answer, contract.answers):
            return _one(answer)
        return None, f"answered {type(answer).__name__}, wanted {_wanted(contract)}"
    if not isinstance(answer, (list, tuple)):
        return None, f"answered {type(answer).__name__}, wanted {_wanted(contract)}"
    found = []
    for item in answer:
        if not isinstance(item, contract.answers):
            name = type(item).__name__
            return None, f"answered a list with {name}, wanted {_wanted(contract)}"
        one, trouble = _one(item)
        if trouble:
            return None, trouble
        found.append(one)
    return found, ""


def _one(answer: Any) -> tuple[Any, str]:
    if not is_dataclass(answer):
        return b"".join((answer,)) if isinstance(answer, bytes) else answer, ""
    copy, trouble = copied(answer)
    return copy, f"answered a record with a wrong field: {trouble}" if trouble else ""


def _wanted(contract: Contract) -> str:
    name = contract.answers.__name__ if contract.answers else "anything"
    return f"list[{name}]" if contract.many else name
