"""docs/remote-write.md says what is so: its tables are read, its senders' files are sound, every outcome is named."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from weighbridge.app.config import load
from weighbridge.measurement import RejectReason
from weighbridge.sources.remote_write.mapping import Outcome
from weighbridge.sources.remote_write.presets import PRESETS
from weighbridge.sources.remote_write.settings import RemoteWriteSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[3] / "docs/remote-write.md"
TEXT = PAGE.read_text("utf-8")


def examples(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def rows() -> Iterator[tuple[str, str]]:
    for line in TEXT.splitlines():
        if found := re.match(r"\| `([\w-]+)` \| (.*)", line):
            yield found[1], found[2]


@pytest.mark.parametrize("example", examples("toml"))
def test_every_table_is_read(example: str, tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text(example)
    settings, _ = load({}, {}, tmp_path)
    assert len(settings.sources["remote_write"]) == example.count("[[sources.remote_write]]")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_told_as_it_is(name: str) -> None:
    told, preset = dict(rows())[name], PRESETS[name]
    for metric in filter(None, (preset.metric_in, preset.metric_out, preset.metric_requests)):
        assert f"`{metric}`" in told
    wanted = (*preset.match.items(), *preset.exclude.items())
    assert re.findall(r'`(\w+="\w+")`', told) == [f'{label}="{value}"' for label, values in wanted for value in values]
    assert any(f'preset = "{name}"' in example for example in examples("toml"))


@pytest.mark.parametrize("name", [*Outcome, *RejectReason, *RemoteWriteSettings.__struct_fields__])
def test_every_outcome_and_key_is_named(name: str) -> None:
    assert f"`{name}`" in TEXT


def test_promtool_takes_the_example_of_prometheus(tmp_path: Path) -> None:
    prometheus, collector = examples("yaml")
    key = tmp_path / "weighbridge.key"
    key.write_text("secret")
    path = tmp_path / "prometheus.yml"
    path.write_text(prometheus.replace("/etc/prometheus/weighbridge.key", str(key)))
    done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(yaml.safe_load(collector)) == {"extensions", "processors", "exporters"}
