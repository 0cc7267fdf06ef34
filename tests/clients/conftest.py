"""What the vendors' own clients need."""

from __future__ import annotations

import pytest

from support.node import install_clients


@pytest.fixture(scope="session")
def node_clients() -> None:
    """The npm packages are installed, once for a run of the tests."""
    install_clients()
