"""What a person reads when the store cannot be opened, or its disk fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from weighbridge.domain.errors import (
    DamagedStoreError,
    DiskFullError,
    FolderInUseError,
    FolderNotWritableError,
    StorageError,
)
from weighbridge.storage.duckdb.database import FILE
from weighbridge.storage.duckdb.failures import translate
from weighbridge.storage.duckdb.store import DuckDBStore

HOLD = """
import sys
from pathlib import Path
from weighbridge.storage.duckdb.store import DuckDBStore
store = DuckDBStore(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_another_process_holds_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(FolderInUseError, match="stop it"):
            DuckDBStore(tmp_path)
        holder.stdin.close()
    DuckDBStore(tmp_path).close()


def test_the_folder_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(FolderNotWritableError, match="cannot be written to"):
        DuckDBStore(path)
    with pytest.raises(FolderNotWritableError, match="cannot be written to"):
        DuckDBStore(path / "below")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(DamagedStoreError, match="backup"):
        DuckDBStore(tmp_path)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE something (other INTEGER)")
    with pytest.raises(DamagedStoreError, match="not a usage store"):
        DuckDBStore(tmp_path)


def test_a_store_of_a_later_version(tmp_path: Path) -> None:
    DuckDBStore(tmp_path).close()
    with duckdb.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StorageError, match="newer Weighbridge"):
        DuckDBStore(tmp_path)


@pytest.mark.parametrize("offset", [5000, 3 * 4096 + 100])
def test_a_changed_byte_in_the_file(tmp_path: Path, offset: int) -> None:
    DuckDBStore(tmp_path).close()
    damaged = bytearray((tmp_path / FILE).read_bytes())
    damaged[offset] ^= 255
    (tmp_path / FILE).write_bytes(damaged)
    with pytest.raises(DamagedStoreError, match="damaged"):
        DuckDBStore(tmp_path).check()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), DiskFullError),
        (duckdb.IOException('IO Error: Could not write file "x": No space left on device'), DiskFullError),
        (PermissionError(13, "Permission denied"), FolderNotWritableError),
        (OSError(30, "Read-only file system"), FolderNotWritableError),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate"), StorageError),
        (duckdb.BinderException("Binder Error: odd"), StorageError),
    ],
)
def test_each_failure_has_its_name(error: Exception, kind: type[StorageError]) -> None:
    told = translate(error, Path("data"))
    assert type(told) is kind
    assert str(error) in str(told)
