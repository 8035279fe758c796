"""What a plugin implements, read off its class: each hook with its terms, and how it is called."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler.hooks import SPEC, Contract, contract
from scaler.loading.verify import hooks_of, marked

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Use:
    """One hook as one plugin implements it.

    Attributes:
        terms: The hook's kind and deadline.
        threaded: Whether it is a plain function, which is called in a thread.
    """

    hook: str
    terms: Contract
    threaded: bool


def uses_of(cls: type[Any]) -> list[Use]:
    """Every hook that the class implements, in the order of their declaration."""
    methods = {options["specname"] or name: name for name, options in marked(cls).items()}
    return [
        Use(
            hook=hook,
            terms=contract(getattr(SPEC, hook)),
            threaded=not inspect.iscoroutinefunction(getattr(cls, methods[hook])),
        )
        for hook in hooks_of(cls)
    ]


def place(plugin: str, hook: str, enabled: Mapping[str, Any]) -> tuple[int, int] | None:
    """Which of the enabled plugins with this hook it is, from 1, and how many there are.

    Args:
        plugin: Its name.
        hook: The hook's name.
        enabled: The plugins that are enabled, loaded, in the settings' order.
    """
    able = [name for name, each in enabled.items() if hook in each.hooks]
    return (able.index(plugin) + 1, len(able)) if plugin in able else None
