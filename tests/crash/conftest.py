"""What the scenarios share. Without a libvirtd none of them means anything, so all of them fail."""

from __future__ import annotations

import pytest

from scaler_libvirt.testing import NO_LIBVIRTD

FIGURES = "figures"  # what a test measured, told at the end


@pytest.fixture(autouse=True)
def libvirtd_is_here() -> None:
    if NO_LIBVIRTD:
        pytest.fail(NO_LIBVIRTD, pytrace=False)


@pytest.fixture(params=["assigned", "offered"])
def flow(request: pytest.FixtureRequest) -> str:
    """How jobs come: as from github.com, or as from an Enterprise Server."""
    return str(request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    told = [
        f"{report.nodeid.partition('::')[2]}: {text}"
        for report in reports
        for name, text in report.user_properties
        if name == FIGURES and report.when == "call"
    ]
    if told:
        terminalreporter.section("figures")
        for line in sorted(told):
            terminalreporter.line(line)
