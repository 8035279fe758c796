"""Reads YAML that nobody has looked at: bounded in size, in references and in depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from scaler import FatalError, printable
from scaler_github.init.secrecy import hidden

LARGEST = 256 * 1024  # bytes of a file
_MOST = 20_000  # values, references followed
_DEEPEST = 40
_MOST_BRACKETS = 200
_MOST_BITS = 64  # of a number, as Helm has them; a longer one is a text
_TRUE = ("true", "yes", "on")
_MERGE = "tag:yaml.org,2002:merge"


def read(path: Path) -> list[Any]:
    """The documents of a file: maps with text keys, lists, texts, numbers, true, false and None.

    Raises:
        FatalError: It cannot be read, or it is nothing that settings would be; the text says where.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise FatalError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise FatalError(f"{path}: is larger than {LARGEST // 1024} KiB, which no values file is")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FatalError(f"{path}: is not text in UTF-8: {error.reason}") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> list[Any]:
    """The same of a text.

    Args:
        text: The YAML.
        name: What it is called in errors.

    Raises:
        FatalError: It is no YAML, or nothing that settings would be.
    """
    if _brackets(text) > _MOST_BRACKETS:  # which the scanner would look at again for each of them
        raise FatalError(f"{name}: is nested too deeply")
    hint = "; a template must be rendered first" if "{{" in text or "${" in text else ""
    try:
        # nodes, not values: they have their lines, and references are followed here, under a bound
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        return [_Values(name, hint).of(node, 0) for node in nodes if node is not None]
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line = f":{at.line + 1}" if at else ""
        problem = _shown(str(error.problem or error.context or "unreadable"))
        raise FatalError(f"{name}{line}: is not YAML: {problem}{hint}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last: \\UFFFFFFFF in quotes
        raise FatalError(f"{name}: is not YAML: {_shown(str(error).splitlines()[0])}") from None
    except RecursionError:
        raise FatalError(f"{name}: is nested too deeply") from None


def _brackets(text: str) -> int:
    """How deep brackets may be nested, at most: those in texts and comments count, too."""
    depth = deepest = 0
    for letter in text:
        if letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}" and depth:
            depth -= 1
    return deepest


class _Values:
    """Turns one document's nodes into values."""

    def __init__(self, name: str, hint: str) -> None:
        self._name = name
        self._hint = hint
        self._seen = 0

    def of(self, node: Any, depth: int) -> Any:
        """What a node says."""
        self._seen += 1
        if self._seen > _MOST or depth > _DEEPEST:
            raise self._wrong(
                node,
                f"holds more than {_MOST} values once its references are followed, or too deep",
            )
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.of(each, depth + 1) for each in node.value]
        return self._map(node, depth)

    def _map(self, node: Any, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "found a key that is a map or a list, wanted a text")
            if key.tag == _MERGE:
                several = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for each in several:
                    found = self.of(each, depth + 1)
                    if not isinstance(found, dict):
                        raise self._wrong(key, "found << of something else than a map")
                    merged = found | merged
                continue
            if key.value in own:
                raise self._wrong(key, f'found the key "{_shown(key.value)}" twice in one map')
            own[key.value] = self.of(value, depth + 1)
        return merged | own

    def _wrong(self, node: Any, why: str) -> FatalError:
        return FatalError(f"{self._name}:{node.start_mark.line + 1}: {why}{self._hint}")


def _shown(text: str) -> str:
    """A part of the file for people: it may be a token in a wrong place."""
    return printable(hidden(text))[:200]


def _scalar(node: Any) -> Any:
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    if kind == "int":
        try:
            number = int(text.replace("_", ""), 0)
        except ValueError:
            return text
        return number if number.bit_length() <= _MOST_BITS else text
    if kind == "float":
        try:
            return float(text.replace("_", ""))
        except ValueError:
            return text
    return text
