"""Write tokens: what lets an app's telemetry in. A token is shown once; what is kept is its SHA-256."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING

from weighbridge.domain.errors import ConflictError, NotVisibleError
from weighbridge.model import WriteToken
from weighbridge.storage.catalog.fields import Faults, nullable, printable, read_mapping, read_text, scalar
from weighbridge.storage.catalog.keys import hash_secret
from weighbridge.storage.catalog.kinds import KINDS, WRITE_TOKENS_PER_APP, Book
from weighbridge.storage.catalog.sight import key_of, require_write, visible

if TYPE_CHECKING:
    from weighbridge.http.route import Principal

PREFIX = "apt_"
LENGTH = 24
"""Alphanumerics behind the prefix, as the vendor's clients expect; 142 bits are secret."""

_ALPHANUMERICS = string.ascii_letters + string.digits
_FIELDS = {"name": scalar(nullable(read_text))}


def draft_write_token(book: Book, app: str, fields: object, who: Principal, now_s: int) -> tuple[WriteToken, str]:
    """A new token of an app and its secret, checked but not kept yet.

    NotVisibleError: no such app for `who`. InvalidDocumentError: a field is wrong. ConflictError: the app has as many
    as it may.
    """
    number = _app(book, app, who)
    require_write(KINDS["app"], who)
    faults = Faults()
    given = read_mapping({} if fields is None else fields, _FIELDS, "", faults) or {}
    faults.raise_for_object()
    if len(_tokens(book, number)) >= WRITE_TOKENS_PER_APP:
        raise ConflictError(f"the app has {WRITE_TOKENS_PER_APP} write tokens already: revoke those that are not used")
    secret = PREFIX + "".join(secrets.choice(_ALPHANUMERICS) for _ in range(LENGTH))
    token_id = "wt_" + "".join(secrets.choice(_ALPHANUMERICS) for _ in range(13))
    return WriteToken(token_id, hash_secret(secret), number, given.get("name"), now_s), secret


def select_write_tokens(book: Book, app: str, who: Principal) -> list[WriteToken]:
    """The tokens of an app that are in force, by id. NotVisibleError: no such app for `who`."""
    return sorted(_tokens(book, _app(book, app, who)), key=lambda token: token.id)


def find_write_token(book: Book, app: str, token_id: str, who: Principal) -> WriteToken:
    """The token of that id.

    NotVisibleError: the app has none, or there is no such app for `who`.
    """
    for token in select_write_tokens(book, app, who):
        if token.id == token_id:
            return token
    raise NotVisibleError("write token", printable(token_id))


def _app(book: Book, name: str, who: Principal) -> int:
    found: int = visible(book, KINDS["app"], key_of(KINDS["app"], name), who).id
    return found


def _tokens(book: Book, app: int) -> list[WriteToken]:
    return [token for token in tuple(book.view.write_tokens_by_sha256.values()) if token.app == app]
