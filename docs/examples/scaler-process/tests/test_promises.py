"""It keeps what provisioners promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler.testing import check_provisioner
from scaler_process.plugin import Process

SETTINGS = """
[plugins.process]
{folder}
most = 200

[profiles.linux]
max_count = 10

[profiles.linux.process]
command = ["sleep", "600"]
"""


@pytest.mark.parametrize("own", [True, False], ids=["own-folder", "named-folder"])
async def test_it_keeps_what_provisioners_promise(tmp_path: Path, own: bool) -> None:
    folder = "" if own else f'folder = "{tmp_path / "runners"}"'
    await check_provisioner(Process, settings=SETTINGS.format(folder=folder))
