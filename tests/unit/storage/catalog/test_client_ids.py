"""A client id means the living app that has it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.http.route import Principal
from weighbridge.model import Scope

if TYPE_CHECKING:
    from pathlib import Path

    from support.kit import HandClock
    from weighbridge.storage.catalog.store import SqlCatalog

ADMIN = Principal("k", None, None, frozenset((Scope.ADMIN,)))
FIRST, SECOND = "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9", "11111111-1111-4111-8111-111111111111"


def test_client_ids_follow_their_apps(catalog: SqlCatalog, tmp_path: Path, clock: HandClock, sample: dict[str, Any]) -> None:
    catalog.apply(sample)
    assert catalog.view().apps_by_client_id == {FIRST: 1}
    catalog.change_object("app", "2", {"client_id": SECOND.upper()}, ADMIN)
    assert catalog.view().apps_by_client_id == {FIRST: 1, SECOND: 2}
    catalog.change_object("app", "2", {"name": "other"}, ADMIN)
    catalog.change_object("app", "1", {"client_id": None}, ADMIN)
    assert catalog.view().apps_by_client_id == {SECOND: 2}
    catalog.change_object("app", "1", {"client_id": FIRST}, ADMIN)
    catalog.delete_object("app", "1", ADMIN)
    assert catalog.view().apps_by_client_id == {SECOND: 2}
    catalog.change_object("app", "2", {"client_id": FIRST}, ADMIN)
    catalog.close()
    again = type(catalog)(tmp_path, clock)
    assert again.view().apps_by_client_id == {FIRST: 2}
    again.delete_object("organization", "org_bolt", ADMIN)
    assert again.view().apps_by_client_id == {}
    again.close()
