"""How findings are made: one word for each of the four things that one can say."""

from __future__ import annotations

from scaler import Finding

AGAIN = "scaler itself tries again; if it stays so, ask GitHub, with the request's number."


def well(text: str) -> Finding:
    """It is as it should be."""
    return Finding(ok=True, text=text)


def wrong(text: str, fix: str) -> Finding:
    """Without it no job runs."""
    return Finding(ok=False, text=text, fix=fix)


def useful(text: str, fix: str) -> Finding:
    """It works, and is worth mending."""
    return Finding(ok=False, text=text, fix=fix, need="useful")


def unseen(text: str) -> Finding:
    """It cannot be seen from here, and is not needed."""
    return Finding(ok=False, text=text, need="unseen")


def required_missing(findings: list[Finding]) -> bool:
    """Whether something is wrong that what follows depends on."""
    return any(not each.ok and each.need == "required" for each in findings)
