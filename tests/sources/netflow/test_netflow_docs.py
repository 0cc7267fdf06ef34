"""docs/netflow.md says what the program says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
import yaml

from weighbridge.sources.netflow import decode, held, scan, streams, templates
from weighbridge.sources.netflow.settings import NetflowSettings

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = (ROOT / "docs/netflow.md").read_text("utf-8")
SOURCE = "".join(path.read_text("utf-8") for path in (ROOT / "src/weighbridge/sources/netflow").glob("*.py"))
WORDS = {
    *re.findall(r'(?:faults\[\w+, |_counts\[\w+(?:\.\w+)*, |Fault\()"(\w+)"\]?', SOURCE),
    *re.findall(r'return "(records_\w+)"|"(records_without_address)"', SOURCE)[0], *decode.LOST.values(),
    "absurd_amounts", "not_forwarded", "out_of_order", "restarts",
} - {""}


def test_there_are_words():
    assert {"truncated", "too_many_templates", "egress_left_out", "malformed_templates", "lost_flows"} <= WORDS
    assert len(WORDS) > 20


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_that_counts_is_documented(word):
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("key", NetflowSettings.__struct_fields__)
def test_every_setting_is_documented(key):
    assert f"| `{key}` |" in PAGE


def test_the_examples_are_right():
    [table] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    settings = msgspec.convert(tomllib.loads(table)["sources"]["netflow"], NetflowSettings)
    assert settings.listen == "0.0.0.0:2055"
    assert f'`"{NetflowSettings().listen}"`' in PAGE
    [document] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert yaml.safe_load(document)["exporters"] == [{"id": "edge-1", "address": "192.0.2.1", "sampling_rate": 1000}]


def test_the_bounds_are_as_said():
    said = (f"{streams.MAX_TEMPLATES:,} templates of a domain", f"{templates.MAX_FIELDS} fields", f"{scan.MAX_SETS:,} sets",
            f"{streams.MAX_RATES:,} rates", f"{held.HELD_BYTES // 2**20} MiB of it")
    assert [words for words in said if words not in PAGE] == []
    assert held.HELD_S == 30 * 60  # "half an hour"
