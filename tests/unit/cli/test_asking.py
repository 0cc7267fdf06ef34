from __future__ import annotations

from weighbridge.cli import asking, keys
from weighbridge.dialects.native.asking_query import FILTERS
from weighbridge.model import Scope
from weighbridge.reports.selection import GROUP_KEYS
from weighbridge.reports.top import METRICS


def test_choices_are_those_of_the_server() -> None:
    assert tuple(asking.FILTERS) == FILTERS
    assert asking.GROUP_KEYS == GROUP_KEYS
    assert asking.METRICS == METRICS
    assert set(keys.SCOPES) == set(Scope)
