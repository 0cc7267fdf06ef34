"""How far an import has come, kept on disk, so that it goes on there after an interruption."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import xxhash

from weighbridge.cli.sending import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping


def folder_of(environ: Mapping[str, str]) -> Path:
    """Where places are kept: weighbridge/imports in XDG_STATE_HOME, which is ~/.local/state if it is not set."""
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "weighbridge" / "imports"


class Place:
    """The place of one import: of one content, to one server, by one key, read one way."""

    def __init__(self, folder: Path, *identity: str) -> None:
        self.path = folder / f"{xxhash.xxh3_128_hexdigest(chr(0).join(identity).encode())}.json"

    def read(self) -> Counts | None:
        """What was done so far; None at the beginning."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Counts)
        except (OSError, msgspec.DecodeError):
            return None  # without a place everything is sent again, and counted as duplicates

    def write(self, counts: Counts) -> None:
        """The place is kept. An OSError is the caller's to tell: the import works without."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(f".{os.getpid()}.tmp")
        scratch.write_bytes(msgspec.json.encode(counts))
        scratch.replace(self.path)

    def forget(self) -> None:
        """There is no place any more: the import is complete, or begins anew."""
        self.path.unlink(missing_ok=True)
