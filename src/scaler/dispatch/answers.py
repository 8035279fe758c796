"""Whether an answer is what the hook's contract allows."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from scaler.sound import unsound

if TYPE_CHECKING:
    from scaler.hooks import Contract


def wrong(contract: Contract, answer: Any) -> str:
    """What is wrong with the answer, in words; empty where it is well."""
    if answer is None:
        return "" if contract.none else f"answered None, wanted {_wanted(contract)}"
    if contract.answers is None:
        return ""
    if not contract.many:
        if isinstance(answer, contract.answers):
            return _unsound(answer)
        return f"answered {type(answer).__name__}, wanted {_wanted(contract)}"
    if not isinstance(answer, (list, tuple)):
        return f"answered {type(answer).__name__}, wanted {_wanted(contract)}"
    for item in answer:
        if not isinstance(item, contract.answers):
            return f"answered a list with {type(item).__name__}, wanted {_wanted(contract)}"
        if trouble := _unsound(item):
            return trouble
    return ""


def _unsound(answer: Any) -> str:
    if not is_dataclass(answer):
        return ""
    trouble = unsound(answer)
    return f"answered a record with a wrong field: {trouble}" if trouble else ""


def _wanted(contract: Contract) -> str:
    name = contract.answers.__name__ if contract.answers else "anything"
    return f"list[{name}]" if contract.many else name
