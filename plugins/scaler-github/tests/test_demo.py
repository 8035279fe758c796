"""What the demo's command line takes."""

from __future__ import annotations

import pytest

from scaler_github.demo import command


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("abc", "found abc, wanted seconds above 0\n"),
        ("nan", "found nan, wanted seconds above 0\n"),
        ("0", "found 0, wanted seconds above 0\n"),
        ("86400", "found 86400, wanted less than a day (86400)\n"),
    ],
)
def test_seconds_that_cannot_be_are_told(
    text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(["--seconds", text])
    assert capsys.readouterr().err.endswith(says)
