"""Write docs/reference/hooks/: an index and a page for each hook, from src/scaler/hooks.py.

`python tools/hookpages.py` writes them; a test compares. They are committed, as the rest of the
reference is: they can be read on a forge, a change of the contract shows in its diff, and building
the documentation needs no plugin.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import sys
import textwrap
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scaler
from scaler import hooks, records
from scaler.api import DEPRECATED
from scaler.dispatch.breaker import FAILURES, OPEN_FOR
from scaler.hooks import SPEC, Contract, Kind, Spec, contract, hook_names
from scaler.loading.find import GROUP
from scaler.loading.verify import hooks_of
from scaler.testing import PROMISES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs/reference/hooks"
WIDE = 70  # letters of a line that a page shows without scrolling
MADE = "<!-- Made by tools/hookpages.py from src/scaler/hooks.py: change it there. -->"

_SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)
_ITEM = re.compile(r"^(\w+): ", re.MULTILINE)
_HOOK = re.compile(r"`(\w+)`")
_NAME = re.compile(r"\b(?:trio\.)?[A-Z]\w+")
#: The heading of docs/reference/records.md below which the records of a module stand.
_HEADINGS = {
    "scaler.records.machines": "machines-and-rooms",
    "scaler.records.orders": "orders-and-changes",
    "scaler.records.runners": "runners",
    "scaler.records.shown": "what-is-shown",
    "scaler.records.work": "jobs",
    "scaler.errors": "errors",
}
_TASK_STATUS = "https://trio.readthedocs.io/en/stable/reference-core.html#trio.TaskStatus"

#: What follows from a fault, and from an expected outcome that a page does not tell of.
_ERRORS = {
    Kind.OWN: "Fault or not, the service is started again after a pause; until then the plugin's "
    "other hooks count as unavailable.",
    Kind.TELL: "Fault or not, the next letter comes all the same.",
    Kind.VOTE: "Fault or not, it is no objection.",
    Kind.ASK: "Fault or not, it is a no, and nobody after this plugin is asked.",
    Kind.GATHER: "Fault or not, what this plugin would have said is unknown, which is not the "
    "same as empty; the other plugins' answers count.",
    Kind.ROUTE: "Fault or not, no other plugin is asked instead.",
}


@dataclass(frozen=True)
class Text:
    """A hook's docstring, taken apart.

    Attributes:
        summary: Its first line.
        prose: What stands below that, up to the first section.
        arguments, errors: A text for each name.
        returns: What each answer means.
        example: Code, as a plugin's method.
    """

    summary: str
    prose: str
    returns: str
    example: str
    arguments: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def text_of(hook: str) -> Text:
    """A hook's docstring, taken apart."""
    whole = inspect.getdoc(getattr(SPEC, hook)) or ""
    summary, _, rest = whole.partition("\n")
    prose, *parts = _SECTION.split(rest)
    sections = {
        name: textwrap.dedent(text).strip("\n")
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return Text(
        summary=summary,
        prose=prose.strip(),
        returns=sections.get("Returns", ""),
        example=sections.get("Example", ""),
        arguments=_items(sections.get("Args", "")),
        errors=_items(sections.get("Raises", "")),
    )


def _items(section: str) -> dict[str, str]:
    _, *parts = _ITEM.split(section)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: " ".join(text.split()) for name, text in pairs}


@cache
def ways() -> dict[str, str]:
    """How each kind is delivered, as the module's text says it."""
    found = re.findall(r"^- \*\*(\w+)\*\*: (.+?)(?=\n- |\n\n)", _module(), re.MULTILINE | re.DOTALL)
    return {kind: " ".join(text.split()) for kind, text in found}


@cache
def unbroken() -> list[str]:
    """The hooks that are never left alone, as the module's text says it."""
    exceptions = re.search(r"\(all but (.+?),", _module(), re.DOTALL)
    return _HOOK.findall(exceptions[1]) if exceptions else []


def _module() -> str:
    return inspect.getdoc(hooks) or ""


# --- words -----------------------------------------------------------------------------


def deadline(terms: Contract) -> str:
    """A deadline, short."""
    if terms.kind is Kind.OWN:
        return f"ready in {terms.deadline:g} s"
    return (
        "the profile's `start_timeout`" if terms.deadline == math.inf else f"{terms.deadline:g} s"
    )


def deadline_in_words(terms: Contract) -> str:
    """A deadline, and what happens at it."""
    if terms.kind is Kind.OWN:
        return f"{terms.deadline:g} s for `started()`; then it may run for as long as scaler does."
    if terms.deadline == math.inf:
        usual = records.Profile(name="any").start_timeout
        limit = f"the profile's `start_timeout` ({usual:g} s where the settings do not say)"
    else:
        limit = f"{terms.deadline:g} s"
    if terms.kind in (Kind.TELL, Kind.VOTE, Kind.ASK):
        return f"{limit}; then the call is cancelled."
    return f"{limit}; then the call is cancelled, and what it did counts as unknown."


def answer(terms: Contract) -> str:
    """The type of an answer."""
    if terms.answers is None:
        return "nothing"
    name = terms.answers.__name__
    shown = f"a list of {linked(name)}" if terms.many else linked(name)
    return f"{shown}, or None" if terms.none else shown


def linked(name: str) -> str:
    """A name of `scaler` with a link to where it is told of."""
    if name == "trio.TaskStatus":
        return f"[`{name}`]({_TASK_STATUS})"
    heading = _HEADINGS.get(getattr(getattr(scaler, name, None), "__module__", ""))
    return f"[`{name}`](../records.md#{heading})" if heading else f"`{name}`"


def annotation(text: str) -> str:
    """An argument's type in words, with links."""
    many = text.startswith("list[")
    names = [linked(name) for name in _NAME.findall(text) if name != "None"]
    words = f"a list of {names[0]}" if many else names[0]
    return f"{words}, or None" if text.endswith("| None") else words


def prose_of(text: str, own: str = "") -> str:
    """A docstring's text with links to the pages of the other hooks."""

    def link(match: re.Match[str]) -> str:
        name = match[1]
        return f"[`{name}`]({name}.md)" if name in hook_names() and name != own else match[0]

    return _HOOK.sub(link, text)


def notice(name: str) -> str:
    """What is to be said of what is on its way out."""
    row = DEPRECATED.get(name)
    said = "Deprecated since version {0.since} of the API, gone with {0.gone}: {0.instead}."
    return f" **{said.format(row)}**" if row else ""


# --- who implements it -----------------------------------------------------------------


@cache
def first_party() -> dict[str, type[Any]]:
    """The plugins of this repository by their names."""
    found = {}
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(file.read_text())["project"]
        for name, target in project.get("entry-points", {}).get(GROUP, {}).items():
            module, _, attribute = target.partition(":")
            found[name] = getattr(importlib.import_module(module), attribute)
    return found


def implementers(hook: str) -> Iterator[str]:
    """A line for each plugin here that has this hook, with a link to its source."""
    for name, cls in first_party().items():
        if hook in hooks_of(cls):
            file = inspect.getsourcefile(inspect.unwrap(getattr(cls, hook)))
            path = Path(file or "").resolve().relative_to(ROOT)
            yield f"- `{name}`: [{path.name}](../../../{path}) of {path.parts[1]}"


def examples(hook: str) -> Iterator[str]:
    """The same for the examples, which need not be installed: by their text."""
    written = re.compile(rf"^    @hookimpl\n    (?:async )?def {hook}\(", re.MULTILINE)
    for file in sorted((ROOT / "docs/examples").rglob("*.py")):
        path = file.relative_to(ROOT / "docs/examples")
        beside = {"tests", "build", ".tox", ".venv"} & {*path.parts}
        if not beside and written.search(file.read_text()):
            name = path.parts[0].removesuffix(".py")
            yield f"- the example {name}: [{path.name}](../../examples/{path})"


# --- what the checks hold --------------------------------------------------------------


def promises(hook: str) -> Iterator[str]:
    """What each check holds about a hook, in a list for each; what is about all by ""."""
    for kind in dict.fromkeys(promise.kind for promise in PROMISES):
        held = [each for each in PROMISES if (each.hook, each.kind) == (hook, kind)]
        if held:
            check = "Every check" if kind == "plugin" else f"[`check_{kind}`](../testing.md#checks)"
            yield f"{check} holds a plugin to this:"
            yield "\n".join(f"- **{each.name}**: {prose_of(each.text, hook)}" for each in held)


# --- pages -----------------------------------------------------------------------------


def signature(hook: str) -> str:
    """A hook as an author begins to write it."""
    shown = f"async def {hook}{_signature(hook)}:"
    shown = re.sub(r"'([^']*)'", r"\1", shown)  # annotations are texts in that module
    if len(shown) > WIDE:
        opening, arguments, closing = re.split(r"(?<=\()|(?=\))", shown, maxsplit=2)
        shown = f"{opening}\n        {arguments}\n    {closing}"
    names = sorted({*_NAME.findall(shown)} & {*scaler.__all__})
    imports = f"from scaler import {', '.join([*names, 'hookimpl'])}\n"
    if "trio." in shown:
        imports = f"import trio\n\n{imports}"
    return f"{imports}\n\nclass MyPlugin:\n    @hookimpl\n    {shown} ..."


def _signature(hook: str) -> inspect.Signature:
    return inspect.signature(getattr(Spec, hook))


def page(hook: str) -> str:
    """A hook's page."""
    terms, text = contract(getattr(SPEC, hook)), text_of(hook)
    parts = [
        f"# {hook}\n\n{MADE}",
        f"{prose_of(text.summary, hook)}{notice(f'Spec.{hook}')}",
        f"```python\n{signature(hook)}\n```",
        f"- **Delivered** by *{terms.kind}*: {ways()[terms.kind]}\n"
        f"- **Deadline**: {deadline_in_words(terms)}\n"
        f"- **Answer**: {answer(terms)}.",
    ]
    if text.prose:
        parts += ["## When, and what for", prose_of(text.prose, hook)]
    if text.arguments:
        parts += ["## Arguments", "\n".join(_arguments(hook, text))]
    parts += ["## Answers", _answers(hook, terms, text)]
    parts += ["## Errors", _errors(hook, terms, text)]
    parts += ["## Example", f"```python\n{text.example}\n```"]
    if held := list(promises(hook)):
        parts += ["## What the checks hold", *held]
    here = [*implementers(hook), *examples(hook)] or ["None of the plugins in this repository."]
    parts += ["## Who implements it", "\n".join(here)]
    return filled("\n\n".join(parts)) + "\n"


def _arguments(hook: str, text: Text) -> Iterator[str]:
    for name, parameter in list(_signature(hook).parameters.items())[1:]:
        said = prose_of(text.arguments[name], hook)
        gone = notice(f"Spec.{hook}.{name}")
        yield f"- `{name}`, {annotation(parameter.annotation)}: {said}{gone}"


def _answers(hook: str, terms: Contract, text: Text) -> str:
    if text.returns:
        return prose_of(text.returns, hook)
    assert terms.kind is Kind.TELL, f"{hook} does not say what its answers mean"
    return "Whatever it answers is ignored."


def _errors(hook: str, terms: Contract, text: Text) -> str:
    missed = "a missed `started()`" if terms.kind is Kind.OWN else "a missed deadline"
    wrong = "" if terms.answers is None else " an answer of another type,"
    closing = [
        f"An error that is no [expected outcome](index.md),{wrong} or {missed} is a fault: the log "
        "and the dashboard tell of it, with the names of the plugin and the hook.",
        _ERRORS[terms.kind],
    ]
    if hook in unbroken():
        closing.append("However often it fails, it is asked again.")
    elif terms.kind is not Kind.OWN:
        closing.append(
            f"After {FAILURES} faults in a row this hook of this plugin is left alone for "
            f"{OPEN_FOR:g} s."
        )
    closing.append(
        "What is done about a call that goes on although it was cancelled: [Hooks, explained]"
        "(../../explanation/hooks.md#a-call-that-does-not-end)."
    )
    said = [f"- {linked(name)}: {prose_of(what, hook)}" for name, what in text.errors.items()]
    return "\n".join([*said, "", " ".join(closing)]).lstrip()


def index() -> str:
    """The page of all hooks."""
    rows = []
    for hook in hook_names():
        terms = contract(getattr(SPEC, hook))
        summary = prose_of(text_of(hook).summary, hook).partition(". ")[0].rstrip(".")
        rows.append(f"| [`{hook}`]({hook}.md) | {terms.kind} | {deadline(terms)} | {summary} |")
    _, _, rest = _module().partition("\n\n")
    table = "| hook | kind | deadline | what it is |\n|---|---|---|---|\n" + "\n".join(rows)
    toctree = "\n".join(hook_names())
    parts = [
        f"# Hooks\n\n{MADE}",
        "What plugins and the core agree on: a page for each hook, made from its declaration, with "
        "an example that is run. In which order a job goes through them: [Hooks, explained]"
        "(../../explanation/hooks.md).",
        table,
        prose_of(rest),
        "## What the checks hold",
        "[`scaler.testing`](../testing.md) has checks of a plugin, for its own tests. What they "
        "hold about a hook is on its page; the rest is this.",
        *promises(""),
        f"```{{toctree}}\n:hidden:\n\n{toctree}\n```",
    ]
    return filled("\n\n".join(parts)) + "\n"


def filled(text: str) -> str:
    """A page with its paragraphs and lists folded anew; code, tables and headings as they are."""
    blocks = re.split(r"(```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        each if each.startswith("```") else "\n\n".join(map(_folded, each.split("\n\n")))
        for each in blocks
    )


def _folded(block: str) -> str:
    if block.startswith(("#", "|", "<")) or not block.strip():
        return block
    items = re.split(r"\n(?=- )", block)
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            width=100,
            subsequent_indent="  " if item.lstrip().startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


def pages() -> dict[str, str]:
    """Every page's text by its file's name."""
    return {"index.md": index()} | {f"{hook}.md": page(hook) for hook in hook_names()}


def main() -> int:
    """Write them all; remove what is no hook's any more."""
    PAGES.mkdir(exist_ok=True)
    made = pages()
    for path in PAGES.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text)
    print(f"{len(made)} pages in {PAGES.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
