"""Settings that cannot be are told with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler import SettingsError, load_settings
from scaler.testing import FakeSource

TEXT = """
[scaler]
state_dir = "state"
[plugins.source]
[plugins.process]
{config}
[profiles.linux]
[profiles.linux.process]
{own}
"""


def load(folder: Path, config: str = "", own: str = "") -> None:
    """Read settings with these lines in the plugin's tables."""
    file = folder / "scaler.toml"
    file.write_text(TEXT.format(config=config, own=own))
    load_settings(file, extra={"source": FakeSource}, environ={})


def test_those_of_the_guide_can_be(tmp_path: Path) -> None:
    load(
        tmp_path,
        config='folder = "runners"\nmost = 4\nresources = { memory = "16G", vcpus = 8 }',
        own='user = "ci"\nnice = 5\nlimits = { memory = "4G", cpu_time = "2h", processes = 9 }',
    )


@pytest.mark.parametrize(
    ("config", "own", "told"),
    [
        ("most = 0", "", "most: found 0, wanted 1 or more"),
        ('most = "many"', "", "a whole number"),
        ("", "nice = 20", "nice: found 20, wanted 0 to 19"),
        ("", "command = []", "command: found nothing"),
        ("", 'command = ["a\\u0000b"]', "a NUL is in it"),
        ("", 'limits = { memory = "0" }', "limits.memory: found 0B, wanted 1 or more"),
        ("", 'limits = { cpu_time = "90" }', "a duration with a unit"),
        ("", 'limits = { memroy = "1G" }', 'did you mean "memory"'),
        ("", 'environment = { "A B" = "c" }', "found 'A B', wanted the name of a variable"),
        ("", 'environment = { HOME = "/" }', "HOME is set by scaler-process itself"),
        ("", 'config_variable = "SCALER_PROCESS"', "choose another name"),
    ],
)
def test_those_that_cannot_are_told(tmp_path: Path, config: str, own: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, config, own)
    assert told in str(caught.value)
