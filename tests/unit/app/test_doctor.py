"""The doctor: a sound folder has no findings, and each damage has its own."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from support.flows import flow, kept_of
from weighbridge.app.clock import SystemClock
from weighbridge.app.config import Settings, load
from weighbridge.app.doctor import examinations, examine
from weighbridge.domain.errors import FolderInUseError
from weighbridge.measurement import MEASUREMENT, SLOT_ROW, Mark, Totals
from weighbridge.storage.catalog.store import SqlCatalog
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.flows.store import SqliteFlowStore
from weighbridge.storage.journal.store import SqliteJournal

CHECKS = ["folder", "zone data", "journal", "port", "disk", "file modes", "catalog", "usage store", "flow sums",
          "journal and usage"]


def settings_of(folder: Path, port: int = 0) -> Settings:
    return load({"data": str(folder), "port": str(port)}, {}, folder)[0]


def make_folder(folder: Path) -> None:
    journal = SqliteJournal(folder / "journal")
    SqlCatalog(folder / "catalog.sqlite", SystemClock()).close()
    store = DuckDBStore(folder / "usage")
    measurement = np.zeros(1, dtype=MEASUREMENT)
    measurement["series"], measurement["bytes_in"], measurement["bytes_out"] = 1, 5, 7
    mark = journal.append(measurement, {})
    store.fold(np.array([(1, 0, 5, 7, 0, 1)], dtype=SLOT_ROW), mark)
    store.close()
    flows = SqliteFlowStore(folder / "flows", lambda: 0)
    flows.keep("a", b"", [kept_of(flow("192.0.2.10", 5))])
    flows.close()
    journal.close()
    (folder / "admin.key").write_text("k" * 40)
    (folder / "admin.key").chmod(0o600)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    make_folder(folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "data"))


def found(folder: Path, port: int = 0) -> list[tuple[str, str]]:
    return [(each.check, each.detail) for each in examine(settings_of(folder, port), SystemClock())]


def test_a_sound_folder(folder: Path) -> None:
    assert [(name, findings) for name, findings in examinations(settings_of(folder), SystemClock())] == [
        (name, []) for name in CHECKS
    ]


def test_no_folder(tmp_path: Path) -> None:
    ((check, detail),) = found(tmp_path / "absent")
    assert (check, detail) == ("folder", f"there is no folder {tmp_path / 'absent'}")
    ((check, detail),) = found(tmp_path)
    assert "no server ever ran" in detail
    assert list(tmp_path.iterdir()) == []


def test_a_server_runs(folder: Path) -> None:
    journal = SqliteJournal(folder / "journal")
    try:
        with pytest.raises(FolderInUseError):
            found(folder)
    finally:
        journal.close()


def test_modes(folder: Path) -> None:
    (folder / "admin.key").chmod(0o640)
    (folder / "usage").chmod(0o777)
    first, second = found(folder)
    assert first == ("file modes", f"{folder / 'admin.key'} has mode 640: others can read the admin key")
    assert second == ("file modes", f"anybody may write to {folder / 'usage'}")


def test_the_port(folder: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ((check, detail),) = found(folder, listener.getsockname()[1])
    assert check == "port"
    assert "another program listens" in detail


def test_the_catalog(folder: Path) -> None:
    path = folder / "catalog.sqlite"
    path.write_bytes(b"not a database at all" * 500)
    ((check, _),) = found(folder)
    assert check == "catalog"
    path.unlink()
    ((check, detail),) = found(folder)
    assert (check, detail) == ("catalog", f"{path} is not there")


def test_the_usage_store(folder: Path) -> None:
    path = folder / "usage" / "usage.duckdb"
    path.write_bytes(b"not a database at all" * 500)
    ((check, _),) = found(folder)
    assert check == "usage store"


def test_kept_flows(folder: Path) -> None:
    path = folder / "flows" / "2025-12-14.sqlite"
    path.write_bytes(b"not a database at all" * 500)
    ((check, detail),) = found(folder)
    assert (check, str(path) in detail) == ("flow sums", True)
    path.unlink()
    ((check, detail),) = found(folder)
    assert (check, "is gone" in detail) == ("flow sums", True)
    (folder / "flows" / "days.sqlite").write_bytes(b"not a database at all" * 500)
    ((check, _),) = found(folder)
    assert check == "flow sums"
    shutil.rmtree(folder / "flows")  # as a folder of an older version
    assert found(folder) == []
    assert not (folder / "flows").exists()


def test_usage_ahead_of_its_journal(folder: Path) -> None:
    store = DuckDBStore(folder / "usage")
    store.fold(np.array([(1, 1, 1, 1, 0, 1)], dtype=SLOT_ROW), Mark(99, Totals(2, 6, 8, 0)))
    store.close()
    ((check, detail),) = found(folder)
    assert check == "journal and usage"
    assert "folded up to 99, but the journal ends at 1" in detail


def test_usage_and_journal_that_differ(folder: Path) -> None:
    shutil.rmtree(folder / "journal")
    journal = SqliteJournal(folder / "journal")
    measurement = np.zeros(1, dtype=MEASUREMENT)
    measurement["series"], measurement["bytes_in"] = 1, 6
    journal.append(measurement, {})
    journal.close()
    ((check, detail),) = found(folder)
    assert check == "journal and usage"
    assert "bytes_in=6" in detail
