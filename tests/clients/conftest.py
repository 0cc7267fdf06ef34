"""What the vendors' own clients need."""

from __future__ import annotations

import shutil

import pytest

from support.node import install_clients

PROMETHEUS = shutil.which("prometheus")
collect_ignore = [] if PROMETHEUS else ["test_prometheus.py"]


def pytest_report_header() -> str:
    """Says what a machine without Debian's package leaves out; .ci/run installs it."""
    return f"prometheus: {PROMETHEUS or 'not installed, so test_prometheus.py is left out (apt-get install prometheus)'}"


@pytest.fixture(scope="session")
def node_clients() -> None:
    """The npm packages are installed, once for a run of the tests."""
    install_clients()
