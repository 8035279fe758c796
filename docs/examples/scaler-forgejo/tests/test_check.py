"""What `check` says, and the settings that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from scaler import Duration, Secret
from scaler_forgejo.settings import Config
from scaler_forgejo.testing import TOKEN, Forge, Reply


async def test_all_is_well(forge: Forge, start: Any) -> None:
    async with start() as (plugin, _):
        findings = await plugin.check()
    assert all(each.ok for each in findings)
    assert [each.text for each in findings] == [
        "Forgejo 15.0.2+gitea-1.22.0",
        "the token reads jobs and runners of orgs/acme (0 runners)",
    ]


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "make a new token"),
        (403, "write:organization"),
        (404, "plugins.forgejo.scope = 'orgs/acme'"),
        (500, "Forgejo's own log"),
    ],
)
async def test_what_is_refused_comes_with_how_to_mend_it(
    forge: Forge, start: Any, status: int, fix: str
) -> None:
    async with start() as (plugin, _):
        forge.instead = {"/actions/runners": Reply(status, {})}
        findings = await plugin.check()
    assert [each.ok for each in findings] == [True, False]
    assert fix in findings[1].fix
    assert TOKEN not in str(findings)


async def test_an_old_forgejo_is_found(forge: Forge, start: Any) -> None:
    forge.version = "11.0.1+gitea-1.22.0"
    async with start() as (plugin, _):
        [version, _] = await plugin.check()
    assert not version.ok
    assert "15 or later" in version.fix


async def test_a_forgejo_that_is_not_there_is_found(forge: Forge, start: Any) -> None:
    forge.url = "http://127.0.0.1:1"
    async with start() as (plugin, context):
        [finding] = await plugin.check()
        await context.core.until(lambda: context.core.reports)
        assert not context.core.reports[-1].ok
    assert not finding.ok
    assert "http://127.0.0.1:1/api/v1/version" in finding.text


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"url": "codeberg.org"}, "url: found 'codeberg.org'"),
        (
            {"url": "https://me:word@codeberg.org"},
            "url: found a name or a password in it, wanted neither",
        ),
        ({"scope": "acme"}, "scope: found 'acme'"),
        ({"scope": "repos/acme/../../admin"}, "scope: found"),
        ({"interval": Duration(0.1)}, "interval: found 100ms, wanted 1s or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], found: str) -> None:
    given = {"url": "https://codeberg.org", "token": Secret("x")} | settings
    with pytest.raises(ValueError, match=found) as caught:
        Config(**given)  # type: ignore[arg-type]
    assert "word@" not in str(caught.value)
