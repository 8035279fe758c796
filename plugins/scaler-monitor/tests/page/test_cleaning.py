from __future__ import annotations

import pytest

from scaler_monitor.page.cleaning import LONGEST, cleaned


@pytest.mark.parametrize(
    "html",
    [
        "<p>text</p>",
        "<table><tbody><tr><th>host</th><td>vm1</td></tr></tbody></table>",
        "<details><summary>more</summary>all of it</details>",
    ],
)
def test_structure_stays(html: str) -> None:
    assert cleaned(html) == html


def test_links_lead_to_the_web_alone() -> None:
    assert cleaned('<a href="https://example.org/x">x</a>') == (
        '<a href="https://example.org/x" rel="noopener noreferrer">x</a>'
    )
    assert "javascript" not in cleaned('<a href="javascript:alert(1)">x</a>')
    assert "data:" not in cleaned('<a href="data:text/html,x">x</a>')


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<style>*{display:none}</style>",
        '<img src="https://example.org/x.png" onerror="alert(1)">',
        '<iframe src="/"></iframe>',
        '<form action="/policy/override"><input name="x"><button>go</button></form>',
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
        '<meta http-equiv="refresh" content="0">',
        '<base href="https://example.org">',
    ],
)
def test_d24_what_loads_runs_or_asks_does_not(html: str) -> None:
    left = cleaned(f"before {html} after")
    assert left.split() == ["before", "after"] or "<" not in left, left


def test_d24_attributes_that_do_something_do_not_stay() -> None:
    html = '<p id="verdict" class="verdict is-well" style="color:red" onclick="x()">y</p>'
    assert cleaned(html) == "<p>y</p>"


def test_what_was_left_open_is_closed() -> None:
    assert cleaned("<div><p>x") == "<div><p>x</p></div>"
    assert cleaned("</section></main>x") == "x"


def test_a_long_one_is_cut() -> None:
    assert len(cleaned("x" * LONGEST * 2)) == LONGEST
