"""Settings of Sphinx. Pages are Markdown; `tox -e docs` builds them, warnings being errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "scaler"
copyright = "the scaler authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# (what is to be copied has a README of its own, for those who copy it)
exclude_patterns = ["_build", "examples"]


myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # docstrings mark code as Markdown does
napoleon_use_ivar = True  # attributes are told of once, with their class

html_theme = "furo"
html_title = "scaler"


def show_examples_as_code(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Docstrings give an example as an indented block under "Example:"."""
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].strip() == "Example:":
            indent = lines[at][: -len("Example:")]
            lines[at : at + 1] = ["", f"{indent}.. code-block:: python", ""]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    # before napoleon, which takes a block under "Example:" for prose
    app.connect("autodoc-process-docstring", show_examples_as_code, priority=400)
