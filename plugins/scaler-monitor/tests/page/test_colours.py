"""The palettes of page.css, held against WCAG 2.2 AA: 4.5 for text, 3 for what shows a state."""

from __future__ import annotations

import re

import pytest

from scaler_monitor.page.assets import Assets

_SHEET = Assets().get("page.css")
assert _SHEET is not None
CSS = _SHEET.content.decode()
LIGHT, DARK = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
PALETTES = {
    name: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))
    for name, text in (("light", LIGHT), ("dark", DARK))
}
TEXT = [
    *((ink, ground) for ink in ("text", "quiet", "link") for ground in ("card", "ground")),
    *((word, ground) for word in ("well", "note", "bad") for ground in ("card", "ground")),
    *((word, f"{word}-ground") for word in ("well", "note", "bad")),
    ("note", "bad-ground"),
]
SHAPES = [
    *((kind, "card") for kind in ("busy", "reserved", "idle", "starting", "held", "ending")),
    *((each, ground) for each in ("focus", "text") for ground in ("card", "ground")),
]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", PALETTES)
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(scheme: str, ink: str, ground: str) -> None:
    palette = PALETTES[scheme]
    assert contrast(palette[ink], palette[ground]) >= 4.5


@pytest.mark.parametrize("scheme", PALETTES)
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_shapes_can_be_seen(scheme: str, shape: str, ground: str) -> None:
    palette = PALETTES[scheme]
    assert contrast(palette[shape], palette[ground]) >= 3


def test_both_palettes_have_the_same_names() -> None:
    assert set(PALETTES["light"]) == set(PALETTES["dark"])


def test_no_colour_stands_outside_the_palettes() -> None:
    rest = CSS.replace(LIGHT, "").replace(DARK, "")
    assert not re.findall(r"#[0-9a-f]{3,8}\b(?=[;,\s)])", rest)
