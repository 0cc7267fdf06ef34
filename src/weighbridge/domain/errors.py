"""The error tree: everything Weighbridge raises on purpose.

    WeighbridgeError
    ├── InvalidInputError      the caller's words are wrong; says what, where and what would be right
    │   ├── UnknownZoneError       no such IANA time zone
    │   ├── OutOfRangeError        a number, date or range outside its bounds
    │   └── InvalidDocumentError   several things of a document are wrong, each with its place
    ├── ConflictError          it contradicts what is there (an id or slug is taken, something is in use): 409
    ├── NotVisibleError        the thing does not exist for this caller (unknown or foreign): 404
    ├── NotPermittedError      the key lacks a scope: 403
    ├── NotAuthenticatedError  no valid key: 401
    ├── BusyError              back-pressure: try again later: 503
    └── StorageError           the disk or a store is at fault, never the caller
        ├── FolderInUseError       another process holds the data folder
        ├── FolderNotWritableError
        ├── DiskFullError
        └── DamagedStoreError      what is on disk contradicts itself; `weighbridge doctor` tells more
"""

from __future__ import annotations


class WeighbridgeError(Exception):
    """Root of the tree. `str()` is a sentence for a person."""


class InvalidInputError(WeighbridgeError):
    """The caller's words are wrong. `where` names the field or parameter, if one is at fault."""

    def __init__(self, detail: str, *, where: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where


class UnknownZoneError(InvalidInputError):
    """No such IANA time zone."""


class OutOfRangeError(InvalidInputError):
    """A number, date or range lies outside its bounds."""


class NotVisibleError(WeighbridgeError):
    """The thing does not exist for this caller. `kind` and `name` say which."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name!r}")
        self.kind = kind
        self.name = name


class NotPermittedError(WeighbridgeError):
    """The key lacks `scope`."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"this key lacks the scope {scope!r}")
        self.scope = scope


class NotAuthenticatedError(WeighbridgeError):
    """No valid key came with the request."""


class BusyError(WeighbridgeError):
    """Back-pressure. Nothing was kept; try again after `retry_after_s` seconds."""

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class StorageError(WeighbridgeError):
    """The disk or a store is at fault, never the caller."""


class FolderInUseError(StorageError):
    """Another process holds the data folder."""


class FolderNotWritableError(StorageError):
    """The data folder cannot be written to."""


class DiskFullError(StorageError):
    """No room is left on the disk of the data folder."""


class DamagedStoreError(StorageError):
    """What is on disk contradicts itself."""


class InvalidDocumentError(InvalidInputError):
    """Several things are wrong. `errors` holds (where, detail) of each, in the order of the document; never empty."""

    def __init__(self, errors: list[tuple[str | None, str]]) -> None:
        where, detail = errors[0]
        if len(errors) > 1:
            detail = f"{len(errors)} things are wrong, first: {detail}"
        super().__init__(detail, where=where)
        self.errors = errors


class ConflictError(WeighbridgeError):
    """What is asked contradicts what is there. `where` names the field, if one is at fault."""

    def __init__(self, detail: str, *, where: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
