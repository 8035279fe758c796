"""The plugin keeps what a source promises, as `scaler.testing` checks it."""

from __future__ import annotations

import pytest

from scaler.testing import check_source
from scaler_forgejo import ForgejoSource
from scaler_forgejo.testing import TOKEN, Forge

SETTINGS = """
[plugins.forgejo]
url = "{url}"
scope = "orgs/acme"
token = {{ env = "FORGEJO_TOKEN" }}
interval = "1s"

[profiles.linux]
max_count = 3
[profiles.linux.forgejo]
labels = ["linux", "x86"]

[profiles.fast]
max_count = 3
[profiles.fast.forgejo]
labels = ["linux", "x86", "fast"]
"""
LABELS = {"linux": ("linux",), "fast": ("linux", "fast")}


@pytest.mark.parametrize(("page", "points"), [(50, 40), (2, 6)], ids=["one page", "many pages"])
async def test_it_keeps_what_a_source_promises(forge: Forge, page: int, points: int) -> None:
    forge.page = page
    forge.add_runner("people's own", "active")

    async def send(profile: str) -> None:
        forge.add_job(*LABELS[profile])

    await check_source(
        ForgejoSource,
        settings=SETTINGS.format(url=forge.url),
        environ={"FORGEJO_TOKEN": TOKEN},
        send=send,
        points=points,
    )
    assert forge.names() == ["people's own"]
