"""One pluggy registry for one scaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from scaler.errors import PluginError
from scaler.hooks import PROJECT, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping


def register(plugins: Mapping[str, object]) -> pluggy.PluginManager:
    """A registry of these plugins under these names.

    The last that is registered is called first, so they are registered in reverse: then calls go in
    the order given.

    Raises:
        PluginError: One of them is refused.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    for name, plugin in reversed(list(plugins.items())):
        try:
            manager.register(plugin, name)
        except Exception as error:
            raise PluginError(f"plugin {name}: {error}") from error
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(str(error)) from error
    return manager
