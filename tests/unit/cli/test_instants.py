from __future__ import annotations

import pytest

from weighbridge.cli.instants import read_instant
from weighbridge.domain.errors import InvalidInputError

NOW_S = 1_765_728_000 + 90  # 2025-12-14T16:01:30Z


@pytest.mark.parametrize(
    ("text", "zone", "expected_s"),
    [
        ("now", "UTC", NOW_S),
        (" NOW ", "UTC", NOW_S),
        ("today", "UTC", 1_765_670_400),
        ("today", "Asia/Tokyo", 1_765_724_400),  # 15 December has begun there
        ("90m", "UTC", NOW_S - 5400),
        ("-24h", "UTC", NOW_S - 86400),
        ("7d", "Europe/Berlin", NOW_S - 7 * 86400),
        ("2w", "UTC", NOW_S - 14 * 86400),
        ("2025-12-14T16:00:00Z", "Asia/Tokyo", 1_765_728_000),
        ("2025-12-14T17:00:00", "Europe/Berlin", 1_765_728_000),
        ("2025-12-14", "UTC", 1_765_670_400),
    ],
)
def test_instants(text: str, zone: str, expected_s: int) -> None:
    assert read_instant(text, zone, NOW_S) == expected_s


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "d", "1.5d", "9999999d"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_instant(text, "UTC", NOW_S)
