"""The admin key: set by WEIGHBRIDGE_ADMIN_KEY, or made at the first start and kept in DATA/admin.key."""

from __future__ import annotations

import os
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.domain.errors import FolderNotWritableError, InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "admin.key"
SHORTEST = 16
"""Characters of an admin key that somebody chose: fewer can be guessed."""
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class AdminKey:
    """The secret, and whether it was made just now, so that it is to be shown once."""

    secret: str
    is_new: bool


def find_admin_key(folder: Path, chosen: str | None) -> AdminKey:
    """The admin key of a data folder; made and kept there (mode 0600) if it has none and none was chosen.

    InvalidInputError: the chosen one is too short. FolderNotWritableError: the new one cannot be kept.
    """
    if chosen is not None:
        if len(chosen) < SHORTEST:
            raise InvalidInputError(f"WEIGHBRIDGE_ADMIN_KEY wants at least {SHORTEST} characters", where="admin_key")
        return AdminKey(chosen, is_new=False)
    path = folder / FILE_NAME
    try:
        kept = path.read_text("utf-8").strip()
        if kept:
            return AdminKey(kept, is_new=False)
        return _make(path)
    except FileNotFoundError:
        return _make(path)
    except OSError as error:
        raise FolderNotWritableError(f"cannot read {path}: {error.strerror}; mend its permissions") from error


def _make(path: Path) -> AdminKey:
    secret = new_secret()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write(secret + "\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise FolderNotWritableError(f"cannot keep the admin key in {path}: {error.strerror}") from error
    return AdminKey(secret, is_new=True)


def new_secret() -> str:
    """A fresh key of the form that clients check: 7 alphanumerics, a dot, 32 more (over 230 bits)."""
    text = "".join(secrets.choice(_LETTERS) for _ in range(39))
    return f"{text[:7]}.{text[7:]}"
