"""A new plugin to begin with: a package, or one file for `plugin_dir`, from templates.

What it writes works: its tests pass, and it is what ruff and mypy want, before anything is changed.
"""

from scaler.scaffold.names import Name, ScaffoldError, named
from scaler.scaffold.render import KINDS, plugin_dir_setting, render, render_file
from scaler.scaffold.write import write_file, write_folder

__all__ = [
    "KINDS",
    "Name",
    "ScaffoldError",
    "named",
    "plugin_dir_setting",
    "render",
    "render_file",
    "write_file",
    "write_folder",
]
