"""The catalog on disk and in memory: `SqlCatalog`."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from sqlalchemy import URL, Engine, bindparam, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from weighbridge.domain.errors import (
    DamagedStoreError,
    DiskFullError,
    FolderNotWritableError,
    InvalidInputError,
    StorageError,
)
from weighbridge.measurement import MAX_NAME
from weighbridge.model import CatalogView, Consumer, Environment, Kind, Series, SeriesKey
from weighbridge.storage.catalog import apply as documents
from weighbridge.storage.catalog import book as books
from weighbridge.storage.catalog import keys, objects, sightings, tables, write_tokens
from weighbridge.storage.catalog.kinds import KINDS, LIMITS, Book, Held, Item, KindSpec
from weighbridge.storage.catalog.migrate import migrate
from weighbridge.storage.catalog.sight import key_of, parent_spec, visible

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from weighbridge.http.route import Principal
    from weighbridge.model import Endpoint, Key, WriteToken
    from weighbridge.ports import Clock
    from weighbridge.storage.catalog.changes import Created, Draft, Plan

MAX_SERIES = 2**32 - 1
"""Numbers of series are 32 bits wide in measurements."""
BUSY_TIMEOUT_MS = 5000
"""How long SQLite waits for another process that holds the file, such as a backup."""
FILE_NAME = "catalog.sqlite"

_NUMBERED = {"server": Kind.SERVER, "vpn_instance": Kind.VPN, "space": Kind.SPACE}
"""Kinds of which each object has one series; the others get theirs on first sight."""


class SqlCatalog:
    """The catalog port on SQLAlchemy. Writes take turns; readers go to the view and never wait.

    Every committed change raises the view's version by 1, first sightings of series and names included.
    """

    def __init__(self, where: str | Path, clock: Clock) -> None:
        """Open, and make or upgrade the schema where needed.

        `where` is a folder (then FILE_NAME in it) or file path, or an SQLAlchemy URL. StorageError and its children:
        it cannot be opened.
        """
        self._clock = clock
        self._lock = threading.RLock()
        self._engine = _engine(where)
        with self._transaction() as connection:
            migrate(connection)
            self._book: Book = books.load(connection)

    def view(self) -> CatalogView:
        """The one living view."""
        return self._book.view

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._engine.dispose()

    def now_s(self) -> int:
        """The clock's second."""
        return self._clock.now_us() // 1_000_000

    def enter_series(self, keys: Sequence[SeriesKey], *, polled: bool = False) -> list[Series]:
        """The series of these keys, made where new, in one transaction. `polled` marks them as fed by counters."""
        known = self._book.view.series_by_key
        found = [known.get(key) for key in keys]
        if any(series is None or (polled and not series.polled) for series in found):
            with self._lock:
                self._add_series(keys, polled=polled)
        return [known[key] for key in keys]

    def _add_series(self, keys: Sequence[SeriesKey], *, polled: bool) -> None:
        known = self._book.view.series_by_key
        wanted = dict.fromkeys(keys)
        new = [key for key in wanted if key not in known]
        first = self._book.numbers.get("series", 0) + 1
        if first + len(new) - 1 > MAX_SERIES:
            msg = f"all {MAX_SERIES} numbers of series are given out"
            raise StorageError(msg)
        made = [Series(number, key, polled) for number, key in enumerate(new, first)]
        endpoints = sightings.endpoints_of_series(new)
        raised = [
            Series(known[key].id, key, polled=True)
            for key in wanted if polled and key in known and not known[key].polled
        ]
        if not made and not raised:
            return
        numbers = {**self._book.numbers, "series": first + len(new) - 1}
        sighted = sightings.number_endpoints(self._book, endpoints, numbers)
        with self._transaction() as connection:
            sightings.write_endpoints(connection, sighted)
            if made:
                connection.execute(tables.series.insert(), [tables.series_row(series) for series in made])
            if raised:
                by_id = tables.series.c.id == bindparam("b_id")
                statement = tables.series.update().where(by_id).values(polled=True)
                connection.execute(statement, [{"b_id": series.id} for series in raised])
            books.write_numbers(connection, self._book.numbers, numbers)
        self._book.numbers = numbers
        for app, added in sighted.items():
            books.enter_endpoints(self._book, app, added)
        books.enter_series(self._book, made + raised)
        self._book.view.version += 1

    def enter_environment(self, app: int, name: str) -> int | None:
        """Id of an app's environment, made on first sight; None when the app has ENVIRONMENTS_PER_APP of them."""
        found = self._book.view.environments_of.get(app, {}).get(name)
        return found if found is not None else self._sight(KINDS["environment"], app, name)

    def enter_consumer(self, app: int, identifier: str) -> int | None:
        """Id of an app's consumer, made on first sight; None when the app has CONSUMERS_PER_APP of them."""
        found = self._book.view.consumers_of.get(app, {}).get(identifier)
        return found if found is not None else self._sight(KINDS["consumer"], app, identifier)

    def _sight(self, spec: KindSpec, app: int, name: str) -> int | None:
        """A name met for the first time, or again after it was deleted: then it keeps its number."""
        with self._lock:
            names: dict[str, int] = getattr(self._book.view, spec.children_in or "").get(app, {})
            if name in names:
                return names[name]
            if len(names) >= LIMITS[spec.name]:
                return None
            numbers = dict(self._book.numbers)
            held = self._book.gone_namesake(spec, app, name)
            if held is None:
                number = self._book.next_number(spec, numbers)
                kind = Environment if spec.name == "environment" else Consumer
                held = Held(kind(number, app, name, created_at_s=self.now_s()))
            self.commit({spec.name: {held.item.id: Held(held.item)}}, numbers)
            found: int = held.item.id
            return found

    def enter_endpoints(self, app: int, endpoints: Sequence[Endpoint]) -> None:
        """The endpoints are in the list of the app's, made on first sight; those beyond its bound are passed over."""
        known = self._book.view.endpoints_of.get(app, {})
        if all(endpoint in known for endpoint in endpoints):
            return
        with self._lock:
            numbers = dict(self._book.numbers)
            sighted = sightings.number_endpoints(self._book, {app: endpoints}, numbers)
            with self._transaction() as connection:
                sightings.write_endpoints(connection, sighted)
                books.write_numbers(connection, self._book.numbers, numbers)
            self._book.numbers = numbers
            for number, added in sighted.items():
                books.enter_endpoints(self._book, number, added)
            self._book.view.version += 1

    def describe_app(self, app: int, framework: str) -> None:
        """The app runs on this framework, as its client says."""
        known = self._book.view.apps.get(app)
        if known is None or known.framework == framework:
            return
        with self._lock:
            item = msgspec.structs.replace(self._book.view.apps[app], framework=framework)
            self.commit({"app": {app: Held(item, item.deleted_at_s)}}, dict(self._book.numbers))

    def describe_consumers(self, app: int, described: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Consumers by identifier have this name and group (None: as it was), and are made where new, up to the bound."""
        numbers = {each: self.enter_consumer(app, each) for each in described if 0 < len(each) <= MAX_NAME}
        with self._lock:
            changed = {}
            for identifier, number in numbers.items():
                name, group = described[identifier]
                item = None if number is None else self._book.view.consumers.get(number)
                if item is None:
                    continue
                new = msgspec.structs.replace(item, name=name or item.name, group=group or item.group)
                if new != item:
                    changed[item.id] = Held(new)
            if changed:
                self.commit({"consumer": changed}, dict(self._book.numbers))

    def series_count(self, app: int) -> int:
        """How many series an app has."""
        return len(self._book.view.series_of.get((Kind.APP, str(app)), ()))

    # Below: what the routes and the command line ask for; `who` is the principal of the request.

    def list_objects(self, kind: str, who: Principal, filters: Mapping[str, str]) -> list[Item]:
        """The living objects of a kind that `who` sees, by id. NotVisibleError: a filter names what is not there."""
        return objects.select_objects(self._book, KINDS[kind], who, filters)

    def get_object(self, kind: str, name: str, who: Principal, *, parent: str | None = None) -> Item:
        """The living object of that id, or NotVisibleError. A peer's `parent` is its VPN instance."""
        return visible(self._book, KINDS[kind], self._key(kind, name, parent), who)

    def create_object(self, kind: str, fields: object, who: Principal, *, parent: str | None = None) -> Item:
        """A new object, durable at return. InvalidDocumentError, NotVisibleError, NotPermittedError, ConflictError."""
        spec = KINDS[kind]
        owner = None if parent is None else key_of(parent_spec(spec), parent)
        with self._lock:
            draft, key = objects.draft_creation(self._book, spec, fields, who, now_s=self.now_s(), parent=owner)
            self._keep(draft)
            return spec.held(self._book.view)[key]

    def change_object(
        self, kind: str, name: str, fields: object, who: Principal, *, parent: str | None = None
    ) -> Item:
        """The object with the given fields changed, durable at return. Errors as in create_object."""
        spec, key = KINDS[kind], self._key(kind, name, parent)
        with self._lock:
            self._keep(objects.draft_change(self._book, spec, key, fields, who, now_s=self.now_s()))
            return spec.held(self._book.view)[key]

    def delete_object(self, kind: str, name: str, who: Principal, *, parent: str | None = None) -> None:
        """The object and what belongs to it are deleted, durably; their usage stays. Errors as in create_object."""
        key = self._key(kind, name, parent)
        with self._lock:
            self._keep(objects.draft_deletion(self._book, KINDS[kind], key, who, now_s=self.now_s()))

    def apply(self, document: object, *, prune: bool = False, dry_run: bool = False) -> Plan:
        """The catalog is as a document declares it, in one transaction; the same plan, and nothing else, on a dry run.

        `document` is what a YAML or JSON reader makes of the file. InvalidDocumentError tells all that is wrong.
        Documents speak of every organization: let only keys with the scope `admin` in.
        """
        with self._lock:
            draft = documents.draft_document(self._book, document, self.now_s(), prune=prune)
            if not dry_run:
                self._keep(draft)
            return draft.plan

    def export(self, who: Principal) -> dict[str, object]:
        """The catalog that `who` sees, as a document that changes nothing when it is applied."""
        return documents.export(self._book, who)

    def create_key(self, fields: object, who: Principal) -> tuple[Key, str]:
        """A new API key, durable at return, and its secret: nobody can tell it again. Errors as in create_object."""
        with self._lock:
            key, secret = keys.draft_key(self._book, fields, who, self.now_s())
            self._keep_keys(new=key)
            return key, secret

    def list_keys(self, who: Principal, organization: str | None = None) -> list[Key]:
        """The API keys that `who` sees, by id."""
        return keys.select_keys(self._book, who, organization)

    def get_key(self, key_id: str, who: Principal) -> Key:
        """The API key of that id, or NotVisibleError."""
        return keys.find_key(self._book, key_id, who)

    def revoke_key(self, key_id: str, who: Principal) -> None:
        """The API key opens nothing any more. NotVisibleError; ConflictError for the operator's own key."""
        with self._lock:
            self._keep_keys(revoked=(keys.revocable(self._book, key_id, who),))

    def create_write_token(self, app: str, fields: object, who: Principal) -> tuple[WriteToken, str]:
        """A new write token of an app, durable at return, and its secret. Errors as in create_object."""
        with self._lock:
            token, secret = write_tokens.draft_write_token(self._book, app, fields, who, self.now_s())
            with self._transaction() as connection:
                connection.execute(tables.write_tokens.insert().values(msgspec.structs.asdict(token)))
            books.enter_write_token(self._book, token)
            return token, secret

    def list_write_tokens(self, app: str, who: Principal) -> list[WriteToken]:
        """The write tokens of an app that are in force, by id. NotVisibleError."""
        return write_tokens.select_write_tokens(self._book, app, who)

    def revoke_write_token(self, app: str, token_id: str, who: Principal) -> None:
        """The token lets nothing in any more. NotVisibleError."""
        with self._lock:
            token = write_tokens.find_write_token(self._book, app, token_id, who)
            with self._transaction() as connection:
                books.revoke_write_tokens(connection, [token], self.now_s())
            books.enter_write_token(self._book, token, is_revoked=True)

    def admin_key(self, secret: str) -> None:
        """The operator's key is this secret, durably; the one before opens nothing any more."""
        with self._lock:
            old, new = keys.admin_key_change(self._book, secret, self.now_s())
            if new is not None:
                self._keep_keys(new=new, old=old)

    def _key(self, kind: str, name: str, parent: str | None) -> object:
        spec = KINDS[kind]
        return key_of(spec, name, None if parent is None else key_of(parent_spec(spec), parent))

    def _keep(self, draft: Draft) -> None:
        if draft.changes:
            self.commit(draft.changes, draft.numbers)
            self._number(draft.plan.create)

    def _number(self, created: Sequence[Created]) -> None:
        """What is new has its series, numbered in the order of the catalog: questions about neighbours read less."""
        keys = [SeriesKey(_NUMBERED[each.kind], str(each.id)) for each in created if each.kind in _NUMBERED]
        if keys:
            self.enter_series(keys)

    def _keep_keys(self, new: Key | None = None, old: Key | None = None, revoked: Sequence[Key] = ()) -> None:
        with self._transaction() as connection:
            books.write_keys(connection, new, old, [key.id for key in revoked], self.now_s())
        for key in (*revoked, *([old] if old else ())):
            books.enter_key(self._book, key, is_revoked=True)
        if new is not None:
            books.enter_key(self._book, new)
        self._book.view.version += 1

    def commit(self, changes: books.Changes, numbers: dict[str, int]) -> None:
        """The changes are on disk and then in the view; the caller holds the lock since it looked.

        Keys of organizations and projects that are deleted are revoked, and write tokens of apps: what comes back later
        comes back without them.
        """
        revoked = books.orphaned_keys(self._book, changes)
        tokens = books.orphaned_write_tokens(self._book, changes)
        with self._transaction() as connection:
            books.write(connection, self._book, changes)
            books.write_keys(connection, None, None, [key.id for key in revoked], self.now_s())
            books.revoke_write_tokens(connection, tokens, self.now_s())
            books.write_numbers(connection, self._book.numbers, numbers)
        self._book.numbers = numbers
        books.enter(self._book, changes)
        for key in revoked:
            books.enter_key(self._book, key, is_revoked=True)
        for token in tokens:
            books.enter_write_token(self._book, token, is_revoked=True)
        self._book.view.version += 1

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock, _storage_errors(), self._engine.begin() as connection:
            yield connection


def _engine(where: str | Path) -> Engine:
    url = _url(where)
    if not url.drivername.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _url(where: str | Path) -> URL:
    if isinstance(where, str) and "://" in where:
        try:
            return make_url(where)
        except ArgumentError:
            msg = "the catalog's URL cannot be read; write it like postgresql+psycopg://user@host/database"
            raise InvalidInputError(msg, where="catalog") from None
    path = Path(where)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        msg = f"the folder {path.parent} does not exist or cannot be written to"
        raise FolderNotWritableError(msg)
    return URL.create("sqlite", database=str(path))


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # Transactions begin where SQLAlchemy says so, not at the first write.
    cast("sqlite3.Connection", connection).isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


_SYMPTOMS: tuple[tuple[str, type[StorageError]], ...] = (
    ("disk is full", DiskFullError),
    ("readonly", FolderNotWritableError),
    ("unable to open", FolderNotWritableError),
    ("malformed", DamagedStoreError),
    ("not a database", DamagedStoreError),
)


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Errors of the database as StorageError: what was asked has been checked before, so the store is at fault."""
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno == errno.ENOSPC else StorageError
        msg = f"the catalog cannot be reached: {error}"
        raise kind(msg) from error
    except SQLAlchemyError as error:
        text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        kind = next((found for symptom, found in _SYMPTOMS if symptom in text), StorageError)
        msg = f"the catalog cannot be read or written: {text}"
        raise kind(msg) from error
