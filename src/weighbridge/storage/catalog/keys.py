"""API keys: made, listed and revoked. A secret is shown once; what is kept is its SHA-256."""

from __future__ import annotations

import secrets
import string
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.errors import ConflictError, InvalidInputError, NotPermittedError, NotVisibleError
from weighbridge.model import Key, Scope
from weighbridge.storage.catalog.fields import (
    BAD,
    Faults,
    Value,
    nearest,
    nullable,
    printable,
    read_id,
    read_instant_s,
    read_list,
    read_mapping,
    read_text,
    scalar,
    show,
)
from weighbridge.storage.catalog.kinds import KINDS, Book
from weighbridge.storage.catalog.sight import visible

if TYPE_CHECKING:
    from weighbridge.http.route import Principal

ADMIN_KEY_ID = "key_admin"
"""The key that the operator sets, or that the first start makes."""
KEYS_PER_ORGANIZATION = 10_000
"""Keys that an organization may have at once: one for each of its servers, and then some."""
_ALPHANUMERICS = string.ascii_letters + string.digits
_PREFIX_LENGTH, _SECRET_LENGTH = 7, 32  # the form that Apitally's command line demands; 190 bits are secret
_SCOPES = {scope.value: scope for scope in Scope}


def make_secret() -> str:
    """A new secret, `[a-zA-Z0-9]{7}.[a-zA-Z0-9]{32}`."""
    return f"{_random(_PREFIX_LENGTH)}.{_random(_SECRET_LENGTH)}"


def hash_secret(secret: str) -> str:
    """What is kept of a secret. It is random and long: a slow hash would protect nothing and cost each request."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERICS) for _ in range(length))


def _parse_scopes(value: object, where: str, faults: Faults) -> Value:
    found = set()
    before = len(faults.invalid)
    for item, place in read_list(value, where, faults):
        if isinstance(item, str) and item in _SCOPES:
            found.add(_SCOPES[item])
        else:
            faults.add(place, f"{show(item)} is no scope{nearest(item, _SCOPES)}")
    if len(faults.invalid) == before and not found:
        faults.add(where, "must name at least one scope")
    return frozenset(found) if len(faults.invalid) == before else BAD


_FIELDS = {
    "organization": scalar(nullable(read_id)),
    "project": scalar(nullable(read_id)),
    "name": scalar(read_text),
    "scopes": _parse_scopes,
    "expires_at": scalar(nullable(read_instant_s)),
}


def draft_key(book: Book, fields: object, who: Principal, now_s: int) -> tuple[Key, str]:
    """A new key and its secret, checked but not kept yet.

    A key makes keys within its own organization (and project), with scopes that it has, and none that outlives it.

    ConflictError: the organization has as many keys as it may.
    """
    faults = Faults()
    given = read_mapping(fields, _FIELDS, "", faults, required=("name", "scopes")) or {}
    scopes: frozenset[Scope] = given.get("scopes", frozenset())
    organization = given.get("organization") or who.organization
    project = given.get("project") or who.project
    if Scope.ADMIN in scopes and given.get("organization"):
        faults.add("organization", "must be absent or null: a key with the scope admin sees every organization")
    if Scope.ADMIN in scopes and given.get("project"):
        faults.add("project", "must be absent or null: a key with the scope admin sees every project")
    if "scopes" in given and Scope.ADMIN not in scopes and organization is None:
        faults.add("organization", "is missing: only a key with the scope admin belongs to none")
    _check_expiry(book, faults, given.get("expires_at"), who, now_s)
    faults.raise_for_object()
    _require_scopes(scopes, who)
    if Scope.ADMIN in scopes:
        organization = project = None
    else:
        _require_reach(book, organization, project, who)
    if sum(key.organization == organization for key in _keys(book)) >= KEYS_PER_ORGANIZATION:
        raise ConflictError(f"there are {KEYS_PER_ORGANIZATION} keys already: revoke those that are not used")
    secret = make_secret()
    key = Key(
        f"key_{_random(13)}", hash_secret(secret), organization, given["name"], scopes, project, now_s,
        given.get("expires_at"),
    )
    return key, secret


def _check_expiry(book: Book, faults: Faults, expires_at_s: int | None, who: Principal, now_s: int) -> None:
    if expires_at_s is not None and expires_at_s <= now_s:
        faults.add("expires_at", "must lie ahead")
    maker = next((key for key in _keys(book) if key.id == who.key_id), None)
    if maker is None or maker.expires_at_s is None:
        return
    if expires_at_s is None or expires_at_s > maker.expires_at_s:
        faults.add("expires_at", "must be no later than that of the key that asks")


def _require_scopes(scopes: frozenset[Scope], who: Principal) -> None:
    if Scope.ADMIN in who.scopes:
        return
    for scope in sorted(scopes - who.scopes):
        raise NotPermittedError(scope.value)


def _require_reach(book: Book, organization: str | None, project: str | None, who: Principal) -> None:
    visible(book, KINDS["organization"], organization, who)
    if project is None:
        return
    found = visible(book, KINDS["project"], project, who)
    if found.organization != organization:
        raise NotVisibleError("project", project)


def _keys(book: Book) -> tuple[Key, ...]:
    return tuple(book.view.keys_by_sha256.values())


def select_keys(book: Book, who: Principal, organization: str | None = None) -> list[Key]:
    """The keys that `who` sees, ordered by id; expired ones too. Those of one organization where one is named."""
    if organization is not None:
        visible(book, KINDS["organization"], organization, who)
    found = [
        key for key in _keys(book)
        if who.organization in (None, key.organization) and who.project in (None, key.project)
        and organization in (None, key.organization)
    ]
    return sorted(found, key=lambda key: key.id)


def find_key(book: Book, key_id: str, who: Principal) -> Key:
    """The key of that id; NotVisibleError where there is none, or not for `who`."""
    for key in select_keys(book, who):
        if key.id == key_id:
            return key
    raise NotVisibleError("key", printable(key_id))


def revocable(book: Book, key_id: str, who: Principal) -> Key:
    """The key of that id, if it may be revoked here.

    ConflictError: it is the operator's own key.
    """
    key = find_key(book, key_id, who)
    if key.id == ADMIN_KEY_ID:
        raise ConflictError("this key is the operator's: change WEIGHBRIDGE_ADMIN_KEY and start again to replace it")
    return key


def admin_key_change(book: Book, secret: str, now_s: int) -> tuple[Key | None, Key | None]:
    """The operator's key as it is and as it must become; the second is None where nothing is to be done.

    InvalidInputError: the secret is empty, or a key of somebody already.
    """
    if not secret.strip():
        raise InvalidInputError("the admin key must not be empty", where="admin_key")
    old = next((key for key in _keys(book) if key.id == ADMIN_KEY_ID), None)
    digest = hash_secret(secret)
    taken = book.view.keys_by_sha256.get(digest)
    if taken is not None and taken.id != ADMIN_KEY_ID:
        raise InvalidInputError(f"this admin key is the key {taken.id} already: choose another", where="admin_key")
    if old is not None and old.sha256 == digest:
        return old, None
    if old is not None:
        return old, msgspec.structs.replace(old, sha256=digest)
    return None, Key(ADMIN_KEY_ID, digest, None, "admin", frozenset({Scope.ADMIN}), None, now_s)
