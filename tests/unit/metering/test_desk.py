"""The desk: what collectors bring in is kept once, as a whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.things import Network, reading
from weighbridge.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path / "journal")
    yield network
    network.close()


def test_the_first_reading_bills_nothing_and_the_second_what_came_since(network: Network) -> None:
    network.give_port("sv_0")
    assert network.read(reading(0, 1_000, 500)).accepted == 1
    assert network.read(reading(5, 1_700, 600)).accepted == 1
    assert network.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (700, 100)}
