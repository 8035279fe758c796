"""What a call is about, by its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler.records import Job, Machine, Message, Profile, Registration, Runner

if TYPE_CHECKING:
    from collections.abc import Mapping


def of_call(plugin: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a call of a plugin's hook with these arguments is about: `plugin`, `runner`, …"""
    found: dict[str, Any] = {"plugin": plugin}
    for value in arguments.values():
        for name, fact in _of(value):
            if fact:
                found.setdefault(name, fact)
    return found


def given(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets among these arguments: what a machine becomes its runner with."""
    configs = (each.config for each in arguments.values() if isinstance(each, Registration))
    return tuple(text for config in configs if config is not None and (text := config.reveal()))


def _of(value: object) -> tuple[tuple[str, Any], ...]:
    match value:
        case Runner():
            return ("runner", value.id), ("profile", value.profile), ("job", value.job)
        case Machine():
            return ("runner", value.runner), ("profile", value.profile)
        case Job():
            return ("job", value.id), ("profile", value.profile)
        case Message():
            return (("profile", value.profile),)
        case Profile():
            return (("profile", value.name),)
        case Registration():
            return (("profile", value.name.partition(".")[0]),)
    return ()
