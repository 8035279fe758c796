"""A plugin that does nothing, and settings that enable it."""

PLUGIN = """
from scaler import hookimpl

class Both:
    def __init__(self, context):
        pass
    @hookimpl
    async def register_runner(self, runner): ...
    @hookimpl
    async def unregister_runner(self, runner): ...
    @hookimpl
    async def list_registrations(self): ...
    @hookimpl
    async def provision_runner(self, runner, registration): ...
    @hookimpl
    async def destroy_runner(self, runner): ...
    @hookimpl
    async def list_machines(self): ...
"""
GOOD = """
    [scaler]
    name = "host-1"
    state_dir = "state"
    plugin_dir = "."
    [plugins.both]
    [profiles.linux]
    target_count = 2
"""
