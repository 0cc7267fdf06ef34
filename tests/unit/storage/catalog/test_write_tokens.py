"""Write tokens: made, listed, revoked, and kept as a digest only."""

from __future__ import annotations

import re
import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from support.kit import NOW_S
from weighbridge.domain.errors import ConflictError, InvalidDocumentError, NotPermittedError, NotVisibleError
from weighbridge.storage.catalog import write_tokens
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog

if TYPE_CHECKING:
    from pathlib import Path


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def test_a_token_is_known_by_its_digest_alone(catalog: SqlCatalog, who, tmp_path: Path, clock) -> None:
    token, secret = catalog.create_write_token("1", {"name": "prod"}, who("org_acme"))
    assert re.fullmatch(r"apt_[a-zA-Z0-9]{24}", secret)
    assert (token.app, token.name, token.created_at_s) == (1, "prod", NOW_S)
    catalog.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert secret not in dump
    assert digest(secret) in dump
    again = SqlCatalog(tmp_path, clock)
    assert again.view().write_tokens_by_sha256 == {digest(secret): token}
    again.close()


def test_a_revoked_token_is_gone_also_after_a_restart(catalog: SqlCatalog, who, tmp_path: Path, clock) -> None:
    first, _ = catalog.create_write_token("1", None, who())
    second, _ = catalog.create_write_token("1", {}, who())
    catalog.revoke_write_token("1", first.id, who("org_acme"))
    assert catalog.list_write_tokens("1", who()) == [second]
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert again.list_write_tokens("1", who("org_acme")) == [second]
    with pytest.raises(NotVisibleError):
        again.revoke_write_token("1", first.id, who())
    again.close()


def test_a_deleted_app_takes_its_tokens_with_it(catalog: SqlCatalog, who, tmp_path: Path, clock) -> None:
    catalog.create_write_token("1", None, who())
    other, _ = catalog.create_write_token("2", None, who())
    catalog.delete_object("app", "1", who())
    catalog.create_object("app", {"id": 1, "organization": "org_acme", "name": "back"}, who())
    assert list(catalog.view().write_tokens_by_sha256.values()) == [other]
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert list(again.view().write_tokens_by_sha256.values()) == [other]
    again.close()


@pytest.mark.parametrize("app", ["2", "9", "x", "-1"])
def test_apps_of_others_do_not_exist(catalog: SqlCatalog, who, app: str) -> None:
    for call in (
        lambda: catalog.create_write_token(app, None, who("org_acme")),
        lambda: catalog.list_write_tokens(app, who("org_acme")),
        lambda: catalog.revoke_write_token(app, "wt_x", who("org_acme")),
    ):
        with pytest.raises(NotVisibleError):
            call()


def test_a_key_of_one_project_makes_none(catalog: SqlCatalog, who) -> None:
    with pytest.raises((NotVisibleError, NotPermittedError)):
        catalog.create_write_token("1", None, who("org_acme", "proj_1"))


@pytest.mark.parametrize("fields", [{"name": 5}, {"nam": "x"}, [], {"name": ""}])
def test_wrong_fields_are_told(catalog: SqlCatalog, who, fields) -> None:
    with pytest.raises(InvalidDocumentError):
        catalog.create_write_token("1", fields, who())


def test_there_is_a_bound(catalog: SqlCatalog, who, monkeypatch) -> None:
    monkeypatch.setattr(write_tokens, "WRITE_TOKENS_PER_APP", 2)
    for _ in range(2):
        catalog.create_write_token("1", None, who())
    with pytest.raises(ConflictError):
        catalog.create_write_token("1", None, who())
