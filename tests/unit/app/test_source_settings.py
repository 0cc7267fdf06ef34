"""[sources] of weighbridge.toml: each source's tables, and what is told of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weighbridge.app import source_settings
from weighbridge.app.config import load, shown
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path


def loaded(folder: Path, text: str):
    (folder / "weighbridge.toml").write_text(text)
    return load({}, {}, folder)


def test_tables_are_read_by_their_source(tmp_path: Path) -> None:
    settings, sources = loaded(tmp_path, """
[[sources.log]]
path = "access.log"
format = "combined"
app = 1
[[sources.log]]
path = "/var/log/other.log"
format = "common"
space = 2
[[sources.remote_write]]
preset = "node_exporter"
subject = "server/{instance}"
""")
    logs = settings.sources["log"]
    assert [each.path for each in logs] == [str(tmp_path / "access.log"), "/var/log/other.log"]
    assert (logs[0].app, logs[1].space) == (1, 2)
    (write,) = settings.sources["remote_write"]
    assert write.subject == "server/{instance}"
    rows = [(name, source) for name, _, source in shown(settings, sources) if name.startswith("sources.")]
    assert rows == [("sources.log", "weighbridge.toml")] * 2 + [("sources.remote_write", "weighbridge.toml")]


def test_a_single_table_needs_no_list(tmp_path: Path) -> None:
    settings, _ = loaded(tmp_path, "[sources.log]\npath = 'x'\nformat = 'common'\napp = 1\n")
    assert [each.path for each in settings.sources["log"]] == [str(tmp_path / "x")]


def test_without_sources_there_are_none(tmp_path: Path) -> None:
    settings, _ = loaded(tmp_path, "port = 1\n")
    assert settings.sources == {}


@pytest.mark.parametrize(("text", "told"), [
    ("sources = 5", "write [[sources.log]]"),
    ("sources.log = [1]", "write [[sources.log]] above each"),
    ("[sources.log]\npath = 'x'\nformat = 'nonsense'\napp = 1", "'nonsense' is none of common"),
    ("[[sources.logs]]\npath = 'x'", "did you mean log?"),
    ("[[sources.zzzzzz]]\n", "there are "),
    ("[[sources.log]]\npath = 'x'\nformat = 'combined'\napp = 1\n[[sources.log]]\npath = 5", "sources.log, table 2: "),
    ("[[sources.log]]\npath = 'x'\nformat = 'nonsense'\napp = 1", "'nonsense' is none of common"),
    ("[[sources.log]]\npath = 'x'\nformat = 'combined'\napp = 1\ncolour = 'red'", "unknown field `colour`"),
    ("[[sources.remote_write]]\nsubject = 'server/{instance}'", "sources.remote_write, table 1: "),
])
def test_wrong_tables_are_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=r"weighbridge\.toml") as caught:
        loaded(tmp_path, text)
    assert told in str(caught.value)


def test_there_is_a_bound_on_tables(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(source_settings, "MAX_TABLES", 1)
    with pytest.raises(InvalidInputError, match="1 are the most"):
        loaded(tmp_path, "[[sources.log]]\npath='a'\nformat='common'\napp=1\n" * 2)
