"""The catalog on disk: what it makes of an empty folder, series and names on first sight, and what survives."""

from __future__ import annotations

import sqlite3
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from weighbridge.domain.errors import (
    DamagedStoreError,
    FolderNotWritableError,
    InvalidInputError,
    StorageError,
)
from weighbridge.model import CatalogView, Kind, Series, SeriesKey
from weighbridge.storage.catalog import kinds, store
from weighbridge.storage.catalog.migrate import alembic_config, stored_revision
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog
from weighbridge.storage.catalog.tables import REVISION, metadata

if TYPE_CHECKING:
    from pathlib import Path

    from support.kit import HandClock


def snapshot(view: CatalogView) -> dict[str, object]:
    """Everything in a view but its version."""
    return {name: getattr(view, name) for name in CatalogView.__dataclass_fields__ if name != "version"}


def reopened(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> SqlCatalog:
    catalog.close()
    return SqlCatalog(tmp_path, clock)


def test_a_first_start_and_all_migrations_make_the_tables_that_the_code_writes(tmp_path: Path, clock: HandClock) -> None:
    SqlCatalog(tmp_path, clock).close()
    for name, upgrade in ((FILE_NAME, False), ("migrated.sqlite", True)):
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        with engine.begin() as connection:
            if upgrade:
                command.upgrade(alembic_config(connection), REVISION)
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            assert stored_revision(connection) == REVISION
        engine.dispose()


def test_the_newest_revision_of_the_code_is_the_newest_migration(empty: SqlCatalog, tmp_path: Path) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  only this test

    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert ScriptDirectory.from_config(alembic_config(connection)).get_heads() == [REVISION]
    engine.dispose()


def test_a_second_start_needs_no_alembic(
    catalog: SqlCatalog, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)  # importing it fails
    reopened(catalog, tmp_path, clock).close()


def test_sqlite_is_durable_and_checks_references(empty: SqlCatalog) -> None:
    with empty._transaction() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": store.BUSY_TIMEOUT_MS}


def test_a_file_of_a_newer_version_is_refused(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    catalog.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DamagedStoreError, match="9999"):
        SqlCatalog(tmp_path, clock)


def test_what_is_no_database_is_refused(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all, " * 100)
    with pytest.raises(DamagedStoreError):
        SqlCatalog(tmp_path, clock)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(FolderNotWritableError, match="nowhere"):
        SqlCatalog(tmp_path / "nowhere" / "catalog.sqlite", clock)


def test_a_url_that_cannot_be_read_is_refused(clock: HandClock) -> None:
    with pytest.raises(InvalidInputError, match="postgresql"):
        SqlCatalog("://nothing", clock)


def test_any_sqlalchemy_url_opens(tmp_path: Path, clock: HandClock) -> None:
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/other.db", clock)
    catalog.apply({"regions": [{"id": "r", "slug": "r", "name": "R"}]})
    catalog.close()
    assert (tmp_path / "other.db").exists()


def test_the_view_is_the_same_after_a_restart(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    catalog.enter_environment(1, "staging")
    catalog.enter_consumer(1, "bob")
    catalog.enter_series([SeriesKey(Kind.SERVER, "sv_1"), SeriesKey(Kind.APP, "1", 1, 7, "GET", "/x")], polled=True)
    before = snapshot(catalog.view())
    again = reopened(catalog, tmp_path, clock)
    assert snapshot(again.view()) == before
    again.close()


def test_series_are_numbered_from_one_in_the_order_of_their_keys(empty: SqlCatalog) -> None:
    keys = [SeriesKey(Kind.SPACE, "1"), SeriesKey(Kind.SPACE, "2"), SeriesKey(Kind.SPACE, "1")]
    assert [series.id for series in empty.enter_series(keys)] == [1, 2, 1]
    assert [series.id for series in empty.enter_series([SeriesKey(Kind.SPACE, "3"), *keys])] == [3, 1, 2, 1]
    assert empty.view().series_of == {(Kind.SPACE, "1"): (1,), (Kind.SPACE, "2"): (2,), (Kind.SPACE, "3"): (3,)}


@pytest.mark.parametrize("key", [
    SeriesKey(Kind.APP, "1"),
    SeriesKey(Kind.APP, "1", 1),
    SeriesKey(Kind.APP, "1", None, 1),
    SeriesKey(Kind.APP, "1", 1, 1, "GET", "/"),
    SeriesKey(Kind.APP, "1", 1, 1, "GET", "/é\x01"),
    SeriesKey(Kind.APP, "1", 1, 1, "", ""),
    SeriesKey(Kind.SERVER, "x", via="flows"),
    SeriesKey(Kind.PEER, "d290f1ee-6c54-4b01-90e6-d701748f0851/alice"),
])
def test_a_key_that_differs_in_anything_is_another_series(
    empty: SqlCatalog, tmp_path: Path, clock: HandClock, key: SeriesKey
) -> None:
    other = SeriesKey(Kind.SERVER, "x")
    first, second = empty.enter_series([other, key])
    assert (first.id, second.id, second.key) == (1, 2, key)
    again = reopened(empty, tmp_path, clock)
    assert again.view().series_by_key == {other: first, key: second}
    again.close()


def test_polled_is_raised_and_never_taken_back(empty: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    key = SeriesKey(Kind.SERVER, "sv_1")
    assert empty.enter_series([key]) == [Series(1, key, polled=False)]
    version = empty.view().version
    assert empty.enter_series([key], polled=True) == [Series(1, key, polled=True)]
    assert empty.view().version == version + 1
    assert empty.enter_series([key]) == [Series(1, key, polled=True)]
    assert empty.view().version == version + 1
    again = reopened(empty, tmp_path, clock)
    assert again.view().series == {1: Series(1, key, polled=True)}
    assert again.view().series_of == {(Kind.SERVER, "sv_1"): (1,)}
    again.close()


def test_series_of_an_app_are_counted(empty: SqlCatalog) -> None:
    empty.enter_series([SeriesKey(Kind.APP, "1", None, None, "GET", f"/{n}") for n in range(3)])
    empty.enter_series([SeriesKey(Kind.APP, "11"), SeriesKey(Kind.SPACE, "1")])
    assert (empty.series_count(1), empty.series_count(11), empty.series_count(2)) == (3, 1, 0)


def test_a_number_is_never_given_out_twice(catalog: SqlCatalog, tmp_path: Path, clock: HandClock) -> None:
    first = catalog.enter_environment(1, "a")
    again = reopened(catalog, tmp_path, clock)
    assert first == kinds.FIRST_NUMBER
    assert again.enter_environment(2, "a") == kinds.FIRST_NUMBER + 1
    assert again.enter_environment(1, "a") == first
    given = max(again.view().series)
    assert again.enter_series([SeriesKey(Kind.SPACE, "never entered")])[0].id == given + 1
    again.close()


def test_numbers_go_around_those_that_a_file_gave(catalog: SqlCatalog) -> None:
    number = kinds.FIRST_NUMBER
    catalog.apply({"organizations": [{"id": "org_acme", "apps": [{"id": 1, "consumers": [
        {"identifier": "x"}, {"id": number, "identifier": "y"}, {"id": number + 1, "identifier": "z"}]}]}]})
    assert catalog.view().consumers_of[1] == {"alice": 7, "x": number + 2, "y": number, "z": number + 1}
    assert catalog.enter_consumer(1, "w") == number + 3


def test_an_app_has_at_most_so_many_environments(catalog: SqlCatalog) -> None:
    rest = kinds.ENVIRONMENTS_PER_APP - 1
    assert None not in {catalog.enter_environment(1, f"e{n}") for n in range(rest)}
    assert catalog.enter_environment(1, "one too many") is None
    assert catalog.enter_environment(1, "prod") == 1
    assert catalog.enter_environment(2, "prod") is not None
    assert len(catalog.view().environments_of[1]) == kinds.ENVIRONMENTS_PER_APP == 100


def test_an_app_has_at_most_so_many_consumers(catalog: SqlCatalog, sample: dict) -> None:
    sample["organizations"][0]["apps"][0]["consumers"] = [
        {"identifier": f"c{n}"} for n in range(kinds.CONSUMERS_PER_APP - 2)]
    catalog.apply(sample)
    assert catalog.enter_consumer(1, "the last") is not None
    assert catalog.enter_consumer(1, "one too many") is None
    assert catalog.enter_consumer(1, "c5") == catalog.view().consumers_of[1]["c5"]
    assert len(catalog.view().consumers_of[1]) == kinds.CONSUMERS_PER_APP == 10_000


def test_readers_keep_what_they_hold(catalog: SqlCatalog) -> None:
    view = catalog.view()
    names, server, ids = view.environments_of[1], view.servers["sv_1"], view.servers_of["proj_1"]
    catalog.enter_environment(1, "staging")
    catalog.apply({"organizations": [{"id": "org_acme", "projects": [{"id": "proj_1", "servers": [
        {"id": "sv_1", "hostname": "new"}, {"id": "sv_2", "hostname": "two", "region": "chile"}]}]}]})
    assert (names, server.hostname, ids) == ({"prod": 1}, "web-1", ("sv_1",))
    assert view is catalog.view()
    assert (view.servers["sv_1"].hostname, view.servers_of["proj_1"]) == ("new", ("sv_1", "sv_2"))


def test_a_failed_commit_changes_nothing(catalog: SqlCatalog, tmp_path: Path) -> None:
    before, version = snapshot(catalog.view()), catalog.view().version
    before = {name: dict(value) for name, value in before.items()}
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DROP TABLE spaces")
    connection.close()
    with pytest.raises(StorageError):
        catalog.apply({"regions": [{"id": "r", "slug": "r", "name": "R"}], "organizations": [
            {"id": "org_acme", "spaces": [{"id": 9, "name": "n"}]}]})
    assert snapshot(catalog.view()) == before
    assert catalog.view().version == version
    catalog.apply({"regions": [{"id": "r", "slug": "r", "name": "R"}]})
    assert "r" in catalog.view().regions


def test_many_threads_see_each_name_once(catalog: SqlCatalog) -> None:
    found: list[tuple[int | None, ...]] = []

    def enter() -> None:
        found.append(tuple(catalog.enter_consumer(1, f"c{n}") for n in range(20)))

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(set(found[0])) == 20
