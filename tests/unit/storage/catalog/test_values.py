"""What each field takes and refuses. A refusal says what would be right, and can be written anywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from weighbridge.domain.errors import InvalidDocumentError

if TYPE_CHECKING:
    from weighbridge.storage.catalog.store import SqlCatalog

DEEP: Any = []
for _ in range(5000):
    DEEP = [DEEP]
TEXTS = ["\x00", "a\x1fb", "a\x7fb", "a\x85b", "\ud800", "x\udfff", "", "a" * 256]
NO_TEXT = [None, 1, 1.5, True, [], {}, ["a"], DEEP]
NO_NUMBER = ["1", "", None, True, 0, -1, 1.0, 2**53, 10**5000, math.nan, math.inf, [], {}, "\x00", "\ud800"]
NO_AMOUNT = [value for value in NO_NUMBER if value not in (0, None)]


def in_organization(**fields: Any) -> dict[str, Any]:
    return {"organizations": [{"id": "o", "slug": "o", "name": "o", **fields}]}


def in_project(**fields: Any) -> dict[str, Any]:
    return in_organization(projects=[{"id": "p", "slug": "p", **fields}])


def in_app(**fields: Any) -> dict[str, Any]:
    return in_organization(apps=[{"id": 1, "name": "a", **fields}])


def in_quota(**fields: Any) -> dict[str, Any]:
    return in_project(quotas=[{"region": "r", **fields}])


BAD: list[tuple[str, Any, list[Any]]] = [
    ("organizations[0].id", lambda bad: {"organizations": [{"id": bad, "slug": "s", "name": "n"}]},
     [*TEXTS, *NO_TEXT, "_x", "-x", "x y", "x/y", "é", "a" * 101, "x\n"]),
    ("organizations[0].slug", lambda bad: in_organization(slug=bad),
     [*TEXTS, *NO_TEXT, "A", "-a", "a_b", "a.b", "a" * 64, "a\n"]),
    ("organizations[0].name", lambda bad: in_organization(name=bad), [*TEXTS, *NO_TEXT]),
    ("organizations[0].time_zone", lambda bad: in_organization(time_zone=bad),
     [*TEXTS, *NO_TEXT, "utc+1", "Mars/Base", "../../etc/passwd", "/etc/localtime", "America", "Europe/Berlin "]),
    ("organizations[0].billing_day", lambda bad: in_organization(billing_day=bad), [*NO_NUMBER, 32]),
    ("organizations[0].monthly_traffic_limit", lambda bad: in_organization(monthly_traffic_limit=bad), NO_AMOUNT),
    ("organizations[0].traffic_limit_unit", lambda bad: in_organization(traffic_limit_unit=bad),
     [*TEXTS, *NO_TEXT, "Bytes", "gb"]),
    ("organizations[0].projects[0].billing_method", lambda bad: in_project(billing_method=bad),
     [*TEXTS, *NO_TEXT, "normal", "95th Percentile", "p95"]),
    ("organizations[0].projects[0].price", lambda bad: in_project(price=bad), NO_AMOUNT),
    ("organizations[0].projects[0].quotas[0].price", lambda bad: in_quota(price=bad), NO_AMOUNT),
    ("organizations[0].projects[0].quotas[0].tb.granted", lambda bad: in_quota(tb={"granted": bad}),
     [*NO_AMOUNT, None]),
    ("organizations[0].projects[0].quotas[0].mbps", lambda bad: in_quota(mbps=bad), [*TEXTS, None, 1, [], True]),
    ("organizations[0].projects[0].quotas", lambda bad: in_project(quotas=bad), [*TEXTS, None, 1, {}, True]),
    ("organizations[0].projects[0].servers", lambda bad: in_project(servers=bad), [*TEXTS, None, 1, {}, True]),
    ("organizations[0].projects[0].servers[0]", lambda bad: in_project(servers=[bad]), [*TEXTS, None, 1, [], True]),
    ("organizations[0].projects[0].servers[0].hostname",
     lambda bad: in_project(servers=[{"id": "s", "hostname": bad, "region": "r"}]), [*TEXTS, *NO_TEXT]),
    ("organizations[0].vpn_instances[0].id", lambda bad: in_organization(vpn_instances=[{"id": bad, "name": "n"}]),
     [*TEXTS, *NO_TEXT, "hq", "d290f1ee6c544b0190e6d701748f0851", "{d290f1ee-6c54-4b01-90e6-d701748f0851}",
      "d290f1ee-6c54-4b01-90e6-d701748f085g", "d290f1ee-6c54-4b01-90e6-d701748f0851\n"]),
    ("organizations[0].apps[0].id", lambda bad: in_organization(apps=[{"id": bad, "name": "n"}]), NO_NUMBER),
    ("organizations[0].apps[0].client_id", lambda bad: in_app(client_id=bad), [*TEXTS, 1, "x"]),
    ("organizations[0].apps[0].environments[0].name", lambda bad: in_app(environments=[{"name": bad}]),
     [*TEXTS, *NO_TEXT]),
    ("organizations[0].apps[0].consumers[0].id", lambda bad: in_app(consumers=[{"id": bad, "identifier": "x"}]),
     NO_NUMBER),
    ("organizations[0].apps[0].consumers[0].group", lambda bad: in_app(consumers=[{"identifier": "x", "group": bad}]),
     [*TEXTS, 1, [], {}]),
    ("organizations[0].apps[0].excluded_endpoints[0].method",
     lambda bad: in_app(excluded_endpoints=[{"method": bad, "path": "/"}]), [*TEXTS, *NO_TEXT, "G T", "GET1", "ß"]),
    ("organizations[0].apps[0].excluded_endpoints[0].path",
     lambda bad: in_app(excluded_endpoints=[{"method": "GET", "path": bad}]),
     [*TEXTS[:-1], *NO_TEXT, "healthz", "/" + "a" * 1024]),
]
CASES = [
    pytest.param(where, make(bad), id=f"{where}-{number}") for where, make, values in BAD
    for number, bad in enumerate(values)
]


@pytest.mark.parametrize(("where", "document"), CASES)
def test_refused_with_its_place(values: SqlCatalog, where: str, document: dict) -> None:
    with pytest.raises(InvalidDocumentError) as error:
        values.apply(document)
    assert where in [place for place, _ in error.value.errors]
    for place, detail in error.value.errors:
        assert len(detail) < 400
        (place or "").encode()
        detail.encode()
        assert "\n" not in detail
    assert values.view().version == 0


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from support.kit import HandClock  # noqa: PLC0415
    from weighbridge.storage.catalog.store import SqlCatalog  # noqa: PLC0415

    catalog = SqlCatalog(tmp_path_factory.mktemp("values"), HandClock())
    yield catalog
    catalog.close()


@pytest.mark.parametrize("name", ["\x00", "\ud800", "a\nb", "x" * 10_000, 5, None, True, (1, 2), ""])
def test_a_field_of_any_name_is_refused(values: SqlCatalog, name: object) -> None:
    with pytest.raises(InvalidDocumentError) as error:
        values.apply({name: 1, "organizations": [{"id": "o", "slug": "o", "name": "o", name: 1}]})
    assert len(error.value.errors) == 2
    for place, detail in error.value.errors:
        assert len((place or "").encode()) < 600
        assert len(detail.encode()) < 400


@pytest.mark.parametrize("document", [5, "x", [], True, [{}], DEEP, 1.5])
def test_a_document_that_is_no_mapping_is_refused(values: SqlCatalog, document: object) -> None:
    with pytest.raises(InvalidDocumentError, match="must be a mapping"):
        values.apply(document)


GOOD: list[dict[str, Any]] = [
    in_organization(name="日本 – ünïcode 🐍", time_zone="Asia/Kathmandu", billing_day=31, monthly_traffic_limit=0,
                    traffic_limit_unit="bytes"),
    in_organization(slug="0", monthly_traffic_limit=2**53 - 1),
    {"organizations": [{"id": "0.A_b:c@d-e", "slug": "a-b", "name": "a" * 255}]},
    in_project(price=2**53 - 1, billing_method="95th percentile"),
    in_app(client_id="76B5CB91-A0A4-4EA0-A894-57D2B9FCB2C9",
           excluded_endpoints=[{"method": "propfind", "path": "/" + "a" * 1023}],
           environments=[{"id": 2**53 - 1, "name": "a" * 255}]),
    in_organization(spaces=[{"id": 1, "name": "s"}, {"id": 2**53 - 1, "name": "s"}]),
]


@pytest.mark.parametrize("document", GOOD)
def test_taken(empty: SqlCatalog, document: dict) -> None:
    assert empty.apply(document).create
    assert empty.apply(document).create == []
