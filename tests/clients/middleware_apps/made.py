"""What the apps answer with, the same in each."""

from __future__ import annotations

import os
from pathlib import Path

PIECES = [b"a" * 1_000, b"b" * 50, b"c" * 7]
FOLDER = Path(os.environ["MADE_FOLDER"])
"""Where the test puts `file.bin`."""


def file_path() -> Path:
    return FOLDER / "file.bin"
