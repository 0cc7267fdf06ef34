"""API keys: who may make which, and that nothing but the hash of a secret is kept."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from support.kit import NOW_S, HandClock
from weighbridge.domain.errors import ConflictError, InvalidInputError, NotPermittedError, NotVisibleError
from weighbridge.http.auth import principal_of
from weighbridge.model import Scope
from weighbridge.storage.catalog.keys import ADMIN_KEY_ID
from weighbridge.storage.catalog.store import SqlCatalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from weighbridge.http.route import Principal

INGEST = {"organization": "org_acme", "name": "edge-1", "scopes": ["ingest"]}


def opens(catalog: SqlCatalog, secret: str, now_s: int = NOW_S) -> Principal | None:
    return principal_of({"authorization": secret}, ("raw",), catalog.view(), now_s)


def test_a_key_opens_what_it_says(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    key, secret = catalog.create_key({**INGEST, "scopes": ["ingest", "traffic:read"], "project": "proj_1"}, who())
    found = opens(catalog, secret)
    assert found is not None
    assert (found.key_id, found.organization, found.project) == (key.id, "org_acme", "proj_1")
    assert found.scopes == {Scope.INGEST, Scope.TRAFFIC_READ}
    assert opens(catalog, secret + "x") is None


def test_secrets_have_the_form_that_clients_check_and_are_not_kept(
    catalog: SqlCatalog, who: Callable[..., Principal], tmp_path: Path
) -> None:
    made = [catalog.create_key(INGEST, who()) for _ in range(20)]
    assert all(re.fullmatch(r"[a-zA-Z0-9]{7}\.[a-zA-Z0-9]{32}", secret) for _, secret in made)
    assert len({secret for _, secret in made}) == len({key.id for key, _ in made}) == 20
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for key, secret in made:
        assert key.sha256 == sha256(secret.encode()).hexdigest()
        assert secret.partition(".")[2].encode() not in files
        assert key.sha256.encode() in files


def test_keys_survive_a_restart_and_stay_revoked(
    catalog: SqlCatalog, who: Callable[..., Principal], tmp_path: Path, clock: HandClock
) -> None:
    (kept, secret), (gone, lost) = catalog.create_key(INGEST, who()), catalog.create_key(INGEST, who())
    catalog.revoke_key(gone.id, who())
    assert opens(catalog, lost) is None
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert again.view().keys_by_sha256 == {kept.sha256: kept}
    assert opens(again, secret) is not None
    again.close()


def test_a_key_ends_when_it_says(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    _, secret = catalog.create_key({**INGEST, "expires_at": "2025-12-14T16:00:01Z"}, who())
    assert opens(catalog, secret) is not None
    assert opens(catalog, secret, NOW_S + 1) is None


@pytest.mark.parametrize(("fields", "where"), [
    ({}, "name"),
    ({"name": "x", "organization": "org_acme"}, "scopes"),
    ({"name": "x", "scopes": ["ingest"]}, "organization"),
    ({**INGEST, "scopes": []}, "scopes"),
    ({**INGEST, "scopes": "ingest"}, "scopes"),
    ({**INGEST, "scopes": ["ingest", "everything"]}, "scopes[1]"),
    ({**INGEST, "scopes": [["ingest"]]}, "scopes[0]"),
    ({**INGEST, "scopes": ["admin"]}, "organization"),
    ({**INGEST, "name": ""}, "name"),
    ({**INGEST, "name": "a\x00b"}, "name"),
    ({**INGEST, "nam": "x"}, "nam"),
    ({**INGEST, "expires_at": "2025-12-14T16:00:00Z"}, "expires_at"),
    ({**INGEST, "expires_at": 1}, "expires_at"),
    ([], None),
])
def test_wrong_words_are_told(
    catalog: SqlCatalog, who: Callable[..., Principal], fields: object, where: str | None
) -> None:
    with pytest.raises(InvalidInputError) as error:
        catalog.create_key(fields, who())
    assert error.value.where == where
    assert catalog.view().keys_by_sha256 == {}


def test_an_admin_key_is_of_no_organization(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    key, secret = catalog.create_key({"name": "ops", "scopes": ["admin"], "organization": None}, who())
    assert (key.organization, key.project) == (None, None)
    found = opens(catalog, secret)
    assert found is not None
    assert found.is_admin


@pytest.mark.parametrize("scope", list(Scope))
def test_no_key_grants_what_it_lacks(catalog: SqlCatalog, who: Callable[..., Principal], scope: Scope) -> None:
    fields = {"name": "x", "scopes": ["catalog:write", scope.value]}
    if scope != Scope.CATALOG_WRITE:
        with pytest.raises(NotPermittedError, match=scope.value):
            catalog.create_key(fields, who("org_acme", None, Scope.CATALOG_WRITE))
    if scope != Scope.ADMIN:
        key, _ = catalog.create_key(fields, who("org_acme", None, Scope.CATALOG_WRITE, scope))
        assert key.organization == "org_acme"


@pytest.mark.parametrize("reach", [{"organization": "org_bolt"}, {"organization": "nix"}, {"project": "proj_b"},
                                   {"project": "nix"}])
def test_no_key_reaches_further_than_its_maker(
    catalog: SqlCatalog, who: Callable[..., Principal], reach: dict
) -> None:
    with pytest.raises(NotVisibleError):
        catalog.create_key({**INGEST, **reach}, who("org_acme"))


def test_a_key_of_one_project_makes_keys_of_that_project(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    mine = who("org_acme", "proj_1")
    assert catalog.create_key(INGEST, mine)[0].project == "proj_1"
    with pytest.raises(NotVisibleError):
        catalog.create_key({**INGEST, "project": "proj_2"}, mine)


def test_a_project_of_another_organization_is_not_there(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    with pytest.raises(NotVisibleError, match="proj_b"):
        catalog.create_key({**INGEST, "project": "proj_b"}, who())


def test_no_key_outlives_its_maker(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    fields = {**INGEST, "scopes": ["catalog:write"], "expires_at": "2026-01-01"}
    _, secret = catalog.create_key(fields, who())
    maker = opens(catalog, secret)
    assert maker is not None
    for later in ({"expires_at": "2026-01-02"}, {"expires_at": None}):
        with pytest.raises(InvalidInputError, match="no later than"):
            catalog.create_key({**fields, **later}, maker)
    assert catalog.create_key(fields, maker)


def test_a_key_sees_the_keys_of_its_organization_and_project(
    catalog: SqlCatalog, who: Callable[..., Principal]
) -> None:
    made = {name: catalog.create_key(fields, who())[0] for name, fields in {
        "acme": INGEST, "project": {**INGEST, "project": "proj_1"}, "bolt": {**INGEST, "organization": "org_bolt"},
        "admin": {"name": "x", "scopes": ["admin"]}}.items()}

    def seen(principal: Principal, organization: str | None = None) -> set[str]:
        ids = {key.id for key in catalog.list_keys(principal, organization)}
        return {name for name, key in made.items() if key.id in ids}

    assert seen(who()) == set(made)
    assert seen(who(), "org_acme") == seen(who("org_acme")) == {"acme", "project"}
    assert seen(who("org_acme", "proj_1")) == {"project"}
    with pytest.raises(NotVisibleError):
        catalog.list_keys(who("org_acme"), "org_bolt")
    for call in (catalog.get_key, catalog.revoke_key):
        with pytest.raises(NotVisibleError):
            call(made["bolt"].id, who("org_acme"))
    assert catalog.get_key(made["bolt"].id, who("org_bolt")) == made["bolt"]


@pytest.mark.parametrize(("kind", "name"), [("organization", "org_acme"), ("project", "proj_1")])
def test_keys_go_with_what_they_open(
    catalog: SqlCatalog, who: Callable[..., Principal], tmp_path: Path, *, kind: str, name: str
) -> None:
    _, secret = catalog.create_key({**INGEST, "project": "proj_1"}, who())
    other, _ = catalog.create_key({**INGEST, "organization": "org_bolt"}, who())
    catalog.delete_object(kind, name, who())
    assert opens(catalog, secret) is None
    catalog.close()
    again = SqlCatalog(tmp_path, HandClock())
    assert set(again.view().keys_by_sha256) == {other.sha256}
    again.close()


def test_the_operators_key_is_what_it_was_set_to_last(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    catalog.admin_key("first secret")
    version = catalog.view().version
    catalog.admin_key("first secret")
    assert catalog.view().version == version
    catalog.admin_key("second secret")
    assert opens(catalog, "first secret") is None
    found = opens(catalog, "second secret")
    assert found is not None
    assert (found.key_id, found.is_admin) == (ADMIN_KEY_ID, True)
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert len(again.view().keys_by_sha256) == 1
    assert opens(again, "second secret") is not None
    again.close()


def test_the_operators_key_is_not_revoked_over_http(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    catalog.admin_key("secret")
    with pytest.raises(ConflictError, match="WEIGHBRIDGE_ADMIN_KEY"):
        catalog.revoke_key(ADMIN_KEY_ID, who())


def test_the_operators_key_is_nobody_elses(catalog: SqlCatalog, who: Callable[..., Principal]) -> None:
    key, secret = catalog.create_key(INGEST, who())
    with pytest.raises(InvalidInputError, match=key.id):
        catalog.admin_key(secret)
    with pytest.raises(InvalidInputError, match="empty"):
        catalog.admin_key(" ")
