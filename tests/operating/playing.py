"""A page is played: its `console` blocks are typed, and what they show has to come back.

`# ` and `$ ` begin a command; what stands below it is what comes back. `…` stands for anything,
times and spans of time are any, and so is where a line is folded. Where nothing is shown, anything
may come.

A line `% …` above a block, which readers do not see, says more, its parts parted by `;`:
`first DOES` names what happens to the machine before; `in a while` looks again until it is so;
`fails` wants an exit code that is not 0; `not played` leaves it out.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.operating.stage import PATIENCE, ROOT, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOG_LINES = 12  # of scaler's, where the page is not true
PAGES = ROOT / "docs/how-to"
_BLOCK = re.compile(
    r"^(?P<indent> *)(?:% (?P<says>[^\n]+)\n\s*)?```console\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_STEP = re.compile(r"^[#$] (?P<command>.*)\n(?P<shown>(?:(?![#$] ).*\n)*)", re.MULTILINE)
_ANY = (
    (r"\b\d{4}-\d\d-\d\d\b", r"\d{4}-\d\d-\d\d"),
    (r"\b\d\d:\d\d(?::\d\d)?\b", r"\d\d:\d\d(:\d\d)?"),
    (r"\b\d{8}T\d{6}Z\b", r"\d{8}T\d{6}Z"),
    (r"\b(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+s\b", r"(\d+d)?(\d+h)?(\d+m)?\d+s"),
    (r"\b\d+(?:\.\d)? (?:s|min)\b", r"\d+(\.\d)? (s|min)"),
    (r"(?<![\d.])\d+\.\d+\.\d+\b(?!\.\d)", r"\d+\.\d+\.\d+"),
    (r"\(request [0-9A-F:]+\)", r"\(request [0-9A-F:]+\)"),
    (r" ?… ?", r".*"),
)
_MASK = re.compile("|".join(f"({shown})" for shown, _ in _ANY))


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        says: The parts of the line above it.
        steps: Each command, and what it shows.
        line: Where it is.
    """

    says: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    line: int

    @property
    def first(self) -> str:
        """What happens before."""
        return next((each.removeprefix("first ") for each in self.says if each[:6] == "first "), "")


def blocks(page: str) -> list[Block]:
    """The console blocks, in order."""
    found = []
    for each in _BLOCK.finditer(page):
        indent = len(re.match(" *", each["text"])[0])  # type: ignore[index]
        text = "".join(line[indent:] or "\n" for line in each["text"].splitlines(keepends=True))
        steps = tuple((step["command"], step["shown"]) for step in _STEP.finditer(text))
        assert steps, f"nothing to type: {text}"
        says = tuple(part.strip() for part in (each["says"] or "").split(";") if part.strip())
        found.append(Block(says, steps, page[: each.start("text")].count("\n")))
    assert len(found) == page.count("```console"), "a block is not read"
    return found


def same(shown: str, seen: str) -> bool:
    """Whether what came back is what is shown."""
    wanted, at = "", 0
    text = " ".join(shown.split())
    for found in _MASK.finditer(text):
        wanted += re.escape(text[at : found.start()])
        wanted += next(
            each for number, (_, each) in enumerate(_ANY) if _group(found, number) is not None
        )
        at = found.end()
    wanted += re.escape(text[at:])
    return re.fullmatch(wanted, " ".join(seen.split())) is not None


def _group(found: re.Match[str], number: int) -> str | None:
    return found.group(number + 1)


def play(stage: Stage, name: str, does: Mapping[str, Callable[[], object]]) -> None:
    """Play a page; every part of `does` has to be asked for by it."""
    page = PAGES / name
    found = blocks(page.read_text())
    assert {block.first for block in found} - {""} == set(does)
    for block in found:
        if "not played" in block.says:
            continue
        began = time.monotonic()
        try:
            if block.first:
                does[block.first]()
            for number, (command, shown) in enumerate(block.steps, 1):
                _type(stage, block, command, shown, last=number == len(block.steps))
        except BaseException as error:
            error.add_note(f"{page}:{block.line}")
            if stage.log.exists():
                error.add_note("\n".join(stage.log.read_text().splitlines()[-LOG_LINES:]))
            raise
        print(f"{name}:{block.line}: {time.monotonic() - began:.1f} s")


def play_section(stage: Stage, name: str, heading: str, *, without: str) -> None:
    """Play what stands under a heading, but for commands that have `without` in them."""
    page = (PAGES / name).read_text()
    _, _, rest = page.partition(f"\n## {heading}\n")
    assert rest, heading
    for block in blocks(re.split(r"^## ", rest, flags=re.MULTILINE)[0]):
        for command, shown in block.steps:
            if without not in command:
                _type(stage, block, command, shown, last=False)


def _type(stage: Stage, block: Block, command: str, shown: str, *, last: bool) -> None:
    began = time.monotonic()
    while True:
        said, code = stage.type(command)
        fails = last and "fails" in block.says
        good = (code != 0) == fails and (not shown or same(shown, said))
        if good:
            return
        if "in a while" not in block.says or time.monotonic() > began + 1.5 * PATIENCE:
            wanted = "fails" if fails else "does not fail"
            raise AssertionError(
                f"# {command}\n{said}[{code}]\nand the page, where it {wanted}, shows:\n{shown}"
            )
        time.sleep(0.3)
