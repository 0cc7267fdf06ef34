"""A catalog on disk, a clock that the test owns, and the file of CONTRACT part 2."""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from support.kit import HandClock
from weighbridge.http.route import Principal
from weighbridge.model import Scope
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
SAMPLE: dict[str, Any] = {
    "regions": [
        {"id": "reg_br", "slug": "brazil", "name": "Brazil"}, {"id": "reg_cl", "slug": "chile", "name": "Chile"},
    ],
    "organizations": [
        {
            "id": "org_acme", "slug": "acme", "name": "Acme Hosting", "time_zone": "UTC", "billing_day": 1,
            "monthly_traffic_limit": 10_000_000, "traffic_limit_unit": "requests",
            "projects": [
                {
                    "id": "proj_1", "slug": "knife", "billing_method": "Normal", "price": 500,
                    "quotas": [{"region": "brazil", "price": 500, "tb": {"granted": 20, "additional": 0},
                                "mbps": {"granted": 0, "additional": 0}}],
                    "servers": [{"id": "sv_1", "hostname": "web-1", "region": "brazil"}],
                },
                {"id": "proj_2", "slug": "spoon"},
            ],
            "vpn_instances": [{"id": VPN, "name": "hq", "region": "brazil", "primary_server": "sv_1",
                               "peers": [{"id": "alice", "public_key": "k"}]}],
            "apps": [{"id": 1, "name": "shop-api", "client_id": "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9",
                      "environments": [{"id": 1, "name": "prod"}],
                      "consumers": [{"id": 7, "identifier": "alice", "name": "Alice"}],
                      "excluded_endpoints": [{"method": "get", "path": "/healthz"}]}],
            "spaces": [{"id": 123, "name": "Blog"}],
        },
        {"id": "org_bolt", "slug": "bolt", "name": "Bolt",
         "projects": [{"id": "proj_b", "slug": "knife", "servers": [
             {"id": "sv_b", "hostname": "b", "region": "chile"}]}],
         "apps": [{"id": 2, "name": "b"}], "spaces": [{"id": 5, "name": "b"}],
         "vpn_instances": [{"id": VPN.replace("d290", "e290"), "name": "b", "peers": [{"id": "bob"}]}]},
    ],
}


@pytest.fixture
def sample() -> dict[str, Any]:
    """The file of CONTRACT part 2, a little larger, with a second organization."""
    return copy.deepcopy(SAMPLE)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog's file as the migrations leave it: copying it is ten times faster than making it."""
    folder = tmp_path_factory.mktemp("migrated")
    SqlCatalog(folder, HandClock()).close()
    return folder / FILE_NAME


@pytest.fixture
def empty(tmp_path: Path, clock: HandClock, migrated: Path) -> Iterator[SqlCatalog]:
    shutil.copy(migrated, tmp_path / FILE_NAME)
    catalog = SqlCatalog(tmp_path, clock)
    yield catalog
    catalog.close()


@pytest.fixture
def catalog(empty: SqlCatalog, sample: dict[str, Any]) -> SqlCatalog:
    """The sample, applied."""
    empty.apply(sample)
    return empty


@pytest.fixture
def who() -> Callable[..., Principal]:
    """A principal: of no organization for `who()`, of one (and one project), with all scopes but admin."""

    def make(organization: str | None = None, project: str | None = None, *scopes: Scope) -> Principal:
        granted = frozenset(scopes or ({Scope.ADMIN} if organization is None else set(Scope) - {Scope.ADMIN}))
        return Principal("key_test", organization, project, granted)

    return make
