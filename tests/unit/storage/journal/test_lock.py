"""One process a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from weighbridge.domain.errors import FolderInUseError, FolderNotWritableError
from weighbridge.storage.journal import faults
from weighbridge.storage.journal.lock import hold

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from weighbridge.storage.journal.lock import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_holder_learns_who_the_first_is(tmp_path: Path) -> None:
    with hold(tmp_path / "new" / "data"):
        with pytest.raises(FolderInUseError, match=rf"in use by process {os.getpid()}:"):
            hold(tmp_path / "new" / "data")
        with hold(tmp_path / "other"):
            pass
    hold(tmp_path / "new" / "data").close()


def test_a_killed_holder_leaves_the_folder_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError, match=rf"process {child.pid}:"):
            hold(tmp_path)
        child.kill()
    with hold(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_closing_twice_frees_only_what_was_held(tmp_path: Path) -> None:
    first = hold(tmp_path)
    first.close()
    second = hold(tmp_path)
    first.close()
    with pytest.raises(FolderInUseError):
        hold(tmp_path)
    second.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(FolderNotWritableError, match="give the user that runs Weighbridge write access"):
            hold(folder)


@pytest.mark.parametrize("number", ["EROFS", "EACCES"])
def test_a_read_only_file_system_is_called_so(tmp_path: Path, number: str) -> None:
    import errno  # noqa: PLC0415  looked up by name

    code = getattr(errno, number)
    error = faults.from_os(OSError(code, os.strerror(code)), tmp_path)
    assert isinstance(error, FolderNotWritableError)
    assert os.strerror(code) in str(error)
