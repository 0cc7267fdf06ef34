"""A log that is followed."""

from __future__ import annotations

import pytest

from support.logs import Followed


@pytest.fixture
def followed(tmp_path):
    found = Followed(tmp_path)
    yield found
    found.close()
