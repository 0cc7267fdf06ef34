"""What apps tell of themselves: endpoints, frameworks, names and groups of consumers, and when things were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from support.kit import NOW_S
from weighbridge.model import Endpoint, Kind, SeriesKey
from weighbridge.storage.catalog import kinds, sightings
from weighbridge.storage.catalog.migrate import alembic_config
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog

if TYPE_CHECKING:
    from pathlib import Path

    from support.kit import HandClock

ITEMS = Endpoint("GET", "/items/{id}")


def reopened(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> SqlCatalog:
    catalog.close()
    return SqlCatalog(tmp_path, clock)


def test_endpoints_are_listed_with_numbers_that_they_keep(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    catalog.enter_endpoints(1, [ITEMS, Endpoint("POST", "/upload"), ITEMS])
    catalog.enter_endpoints(2, [ITEMS])
    expected = {
        1: {ITEMS: kinds.FIRST_NUMBER, Endpoint("POST", "/upload"): kinds.FIRST_NUMBER + 1},
        2: {ITEMS: kinds.FIRST_NUMBER + 2},
    }
    assert catalog.view().endpoints_of == expected
    again = reopened(catalog, tmp_path, clock)
    assert again.view().endpoints_of == expected
    version = again.view().version
    again.enter_endpoints(1, [ITEMS])
    assert (again.view().endpoints_of, again.view().version) == (expected, version)
    again.close()


def test_traffic_lists_its_endpoints_too(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    keys = [SeriesKey(Kind.APP, "1", None, consumer, "GET", "/items/{id}") for consumer in (None, 7)]
    catalog.enter_series([*keys, SeriesKey(Kind.APP, "1"), SeriesKey(Kind.SPACE, "123", path="/a.jpg")])
    assert catalog.view().endpoints_of == {1: {ITEMS: kinds.FIRST_NUMBER}}
    again = reopened(catalog, tmp_path, clock)
    assert again.view().endpoints_of == {1: {ITEMS: kinds.FIRST_NUMBER}}
    again.close()


def test_endpoints_beyond_the_bound_are_counted_and_not_listed(catalog: SqlCatalog, monkeypatch) -> None:
    monkeypatch.setattr(sightings, "ENDPOINTS_PER_APP", 2)
    catalog.enter_endpoints(1, [Endpoint("GET", f"/{number}") for number in range(5)])
    (series,) = catalog.enter_series([SeriesKey(Kind.APP, "1", None, None, "GET", "/9")])
    assert (len(catalog.view().endpoints_of[1]), series.key.path) == (2, "/9")


def test_consumers_are_described_and_made(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    catalog.describe_consumers(1, {"alice": (None, "gold"), "bob": ("Bob", None)})
    for view in (catalog.view(), reopened(catalog, tmp_path, clock).view()):
        by_name = {consumer.identifier: (consumer.name, consumer.group) for consumer in view.consumers.values()}
        assert by_name == {"alice": ("Alice", "gold"), "bob": ("Bob", None)}


def test_describing_again_changes_nothing(catalog: SqlCatalog) -> None:
    catalog.describe_consumers(1, {"alice": ("Alice", "gold")})
    catalog.describe_app(1, "python:starlette")
    version = catalog.view().version
    catalog.describe_consumers(1, {"": ("nobody", None), "alice": (None, None)})
    catalog.describe_app(1, "python:starlette")
    catalog.describe_app(99, "nobody")
    assert catalog.view().version == version
    assert catalog.view().apps[1].framework == "python:starlette"


def test_the_bound_on_consumers_holds(catalog: SqlCatalog, monkeypatch) -> None:
    monkeypatch.setitem(kinds.LIMITS, "consumer", 2)  # type: ignore[index]
    catalog.describe_consumers(1, {"bob": ("Bob", None), "carol": ("Carol", None)})
    assert set(catalog.view().consumers_of[1]) == {"alice", "bob"}


def test_applying_the_catalog_keeps_what_an_app_told(catalog: SqlCatalog, sample, clock: HandClock) -> None:
    catalog.describe_app(1, "js:express")
    clock.advance(3600)
    plan = catalog.apply(sample)
    assert (plan.create, plan.change) == ([], [])
    app = catalog.view().apps[1]
    assert (app.framework, app.created_at_s) == ("js:express", NOW_S)


def test_things_know_when_they_were_made(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    clock.advance(60)
    environment, consumer = catalog.enter_environment(1, "staging"), catalog.enter_consumer(1, "bob")
    view = reopened(catalog, tmp_path, clock).view()
    assert (view.environments[1].created_at_s, view.environments[environment].created_at_s) == (NOW_S, NOW_S + 60)
    assert (view.consumers[7].created_at_s, view.consumers[consumer].created_at_s) == (NOW_S, NOW_S + 60)


@pytest.mark.parametrize("named", [True, False])
def test_a_catalog_of_the_first_schema_is_brought_over(tmp_path: Path, clock: HandClock, named: bool) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.execute(text("INSERT INTO organizations VALUES ('org_a', 'a', 'A', 'UTC', 1, NULL, 'requests', NULL)"))
        connection.execute(text("INSERT INTO apps (id, organization, name) VALUES (1, 'org_a', 'shop')"))
        connection.execute(text("INSERT INTO environments (id, app, name) VALUES (1, 1, 'prod')"))
        connection.execute(text("INSERT INTO consumers (id, app, identifier) VALUES (7, 1, 'alice')"))
        rows = [("NULL", "NULL")] + [("'GET'", "'/a'"), ("'POST'", "'/b'")] * named
        for number, (method, path) in enumerate(rows, 1):
            connection.execute(text(
                f"INSERT INTO series VALUES ({number}, x'0{number}', 'app', '1', NULL, NULL, {method}, {path}, 0)"
            ))
    engine.dispose()
    catalog = SqlCatalog(tmp_path, clock)
    view = catalog.view()
    listed = {Endpoint("GET", "/a"): 1_000_000, Endpoint("POST", "/b"): 1_000_001}
    assert view.endpoints_of == ({1: listed} if named else {})
    made = (view.apps[1].created_at_s, view.environments[1].created_at_s, view.consumers[7].created_at_s)
    assert (made, view.apps[1].framework, len(view.series)) == ((0, 0, 0), None, len(rows))
    catalog.enter_endpoints(1, [Endpoint("GET", "/new")])
    assert view.endpoints_of[1][Endpoint("GET", "/new")] == 1_000_000 + 2 * named
    catalog.close()
