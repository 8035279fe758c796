"""Small things about XML elements, and the last look at a machine's XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from scaler_libvirt.machine.identity import TAG

GIB = 1 << 30


def add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    """Append a child."""
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def the(parent: ET.Element, tag: str) -> ET.Element:
    """The child of that name; made where there is none."""
    found = parent.find(tag)
    return add(parent, tag) if found is None else found


def drop(parent: ET.Element, *tags: str) -> None:
    """Take out all children of these names."""
    for child in [child for child in parent if child.tag in tags]:
        parent.remove(child)


def checked(domain: ET.Element, *, kind: str, name: str, uuid: str) -> str:
    """The XML as text, read again: it is one domain, of that name, with one identity of ours.

    Raises:
        ValueError: It is not.
    """
    text = ET.tostring(domain, encoding="unicode")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, UnicodeEncodeError) as error:
        raise ValueError(f"a setting holds a character that XML cannot: {error}") from None
    found = (
        root.tag,
        root.get("type"),
        [each.text for each in root.findall("name")],
        [each.text for each in root.findall("uuid")],
        len(root.findall(f"metadata/{TAG}")),
        sum(1 for _ in root.iter(TAG)),
    )
    if found != ("domain", kind, [name], [uuid], 1, 1):
        raise ValueError(f"the domain's XML is not what was meant: {found}")
    return text
