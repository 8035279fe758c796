"""Whether artifacts can be read, as `scaler check` tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scaler import Finding
from scaler_github import setup
from scaler_github.testing import Simulator

Checked = Any
Told = Callable[[list[Finding]], list[str]]


async def test_artifacts_of_named_repositories(
    checked: Checked, sim: Simulator, told: Told
) -> None:
    checked.build(sim.url, sim.token)
    account = checked.github.accounts[""]
    lines = told(await setup.artifacts(account, ["acme/widgets", "other/x", "acme/*"]))
    assert lines[0] == "ok artifacts of acme/widgets can be read"
    assert lines[1].startswith("WRONG artifacts of other/x cannot be read: ")
    assert "Actions: read" in lines[1]
    assert lines[2].startswith("unseen ")
    assert len(lines) == 3


async def test_a_right_that_is_missing(checked: Checked, sim: Simulator, told: Told) -> None:
    sim.add_token("github_pat_few", {"organization_self_hosted_runners=write"})
    checked.build(sim.url, "github_pat_few")
    account = checked.github.accounts[""]
    [line] = told(await setup.artifacts(account, ["acme/widgets"]))
    assert line.startswith("WRONG ")
    assert "actions=read" in line


async def test_github_that_is_ill(checked: Checked, sim: Simulator, told: Told) -> None:
    checked.build(sim.url, sim.token)
    sim.faults.add("artifacts", status=503)
    [line] = told(await setup.artifacts(checked.github.accounts[""], ["acme/widgets"]))
    assert line.startswith("warn artifacts of acme/widgets cannot be asked for now")
