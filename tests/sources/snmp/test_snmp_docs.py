"""docs/snmp.md says what the program says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from weighbridge.sources.snmp import poll
from weighbridge.sources.snmp.device import LONGEST_PAUSE_S
from weighbridge.sources.snmp.session import REASONS
from weighbridge.sources.snmp.settings import AUTH, PRIVACY, SnmpSettings, read_settings

PAGE = (Path(__file__).parents[3] / "docs" / "snmp.md").read_text("utf-8")


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_examples_of_settings_are_right(example):
    for table in tomllib.loads(example)["sources"]["snmp"]:
        read_settings(table)


@pytest.mark.parametrize("key", SnmpSettings.__struct_fields__)
def test_every_key_and_its_default_are_there(key):
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{key}`" in line.split("|")[1]]
    default = dict(zip(SnmpSettings.__struct_fields__[::-1], SnmpSettings.__struct_defaults__[::-1], strict=False)).get(key)
    if default not in (None, ()):
        assert str(default) in row.split("|")[2]


@pytest.mark.parametrize("word", [*AUTH, *PRIVACY])
def test_every_algorithm_is_there(word):
    assert f"`{word}`" in PAGE


COUNTS = ("polls", "shared_name", "unread", "cut", "clock_behind", "not_handed_in", "failed_defect")


@pytest.mark.parametrize("word", [*(f"failed_{reason}" for reason in REASONS), *COUNTS])
def test_every_count_is_there(word):
    assert f"`{word}`" in PAGE


def test_bounds_are_there():
    assert f"{poll.MAX_INTERFACES:,} interfaces" in PAGE
    assert f"every {LONGEST_PAUSE_S / 60:g} minutes" in PAGE
