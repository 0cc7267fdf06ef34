"""Writing changes down, reading them back, and bringing the view up to date: one way for start and for every commit."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, select

from weighbridge.model import Endpoint, WriteToken
from weighbridge.storage.catalog import tables
from weighbridge.storage.catalog.kinds import KINDS, Book, Held, Key, KindSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Table

    from weighbridge.model import Attribution, Series
    from weighbridge.model import Key as ApiKey

Changes = dict[str, dict[Key, Held]]
"""What is new, by kind and key; a kind without changes may be absent."""


def load(connection: Connection) -> Book:
    """Everything that the database holds."""
    book = Book()
    enter(book, {kind: _load_kind(connection, spec) for kind, spec in KINDS.items()})
    for row in connection.execute(select(tables.keys).where(tables.keys.c.revoked_at_s.is_(None))):
        enter_key(book, tables.key_from(row))
    columns = [column for column in tables.series.columns if column.name != "digest"]
    enter_series(book, [tables.series_from(row) for row in connection.execute(select(*columns).order_by("id"))])
    for row in connection.execute(select(tables.endpoints).order_by("id")):
        book.view.endpoints_of.setdefault(row.app, {})[Endpoint(row.method, row.path)] = row.id
    for row in connection.execute(select(tables.write_tokens).where(tables.write_tokens.c.revoked_at_s.is_(None))):
        enter_write_token(book, WriteToken(row.id, row.sha256, row.app, row.name, row.created_at_s))
    book.numbers = {row.kind: row.last for row in connection.execute(select(tables.numbers))}
    return book


def _load_kind(connection: Connection, spec: KindSpec) -> dict[Key, Held]:
    nested: dict[Any, list[Any]] = defaultdict(list)
    if spec.name in tables.NESTED:
        table, owner = tables.NESTED[spec.name]
        for row in connection.execute(select(table)):
            nested[getattr(row, owner)].append(row)
    attributions = _load_attributions(connection, spec)
    found = {}
    names = set(spec.type.__struct_fields__)
    for row in connection.execute(select(tables.OF_KIND[spec.name])):
        fields = {name: value for name, value in row._mapping.items() if name in names}  # noqa: SLF001  public in SQLAlchemy
        item = spec.type(**fields, **tables.nested_fields(spec.name, nested.get(row.id, ())))
        dated = attributions.get(str(spec.label(spec.key(item))))
        if dated:
            item = msgspec.structs.replace(item, attributions=tuple(dated))
        found[spec.key(item)] = Held(item, row.deleted_at_s)
    return found


def _load_attributions(connection: Connection, spec: KindSpec) -> dict[str, list[Attribution]]:
    """By the label of their object, oldest first."""
    found: dict[str, list[Attribution]] = defaultdict(list)
    if spec.name in tables.ATTRIBUTED:
        table = tables.attributions
        query = select(table).where(table.c.kind == spec.name).order_by(table.c.object, table.c.from_s)
        for row in connection.execute(query):
            found[row.object].append(tables.attribution_from(row))
    return found


def write(connection: Connection, book: Book, changes: Changes) -> None:
    """The changes are in the database, within the connection's transaction; `book` is still as before."""
    for kind, spec in KINDS.items():
        changed = changes.get(kind, {})
        if not changed:
            continue
        known = {key: book.find(kind, key) for key in changed}
        table = tables.OF_KIND[kind]
        new = [tables.row_of(kind, held.item, held.deleted_at_s) for key, held in changed.items() if not known[key]]
        old = [(key, held) for key, held in changed.items() if known[key]]
        _park(connection, spec, old)
        _update(connection, table, [tables.row_of(kind, held.item, held.deleted_at_s) for _, held in old])
        if new:
            connection.execute(table.insert(), new)
        _write_nested(connection, kind, [held.item for held in changed.values()], [held.item for _, held in old])
        if kind in tables.ATTRIBUTED:
            _write_attributions(connection, spec, [(key, known[key], held.item) for key, held in changed.items()])


def _park(connection: Connection, spec: KindSpec, old: list[tuple[Key, Held]]) -> None:
    """Unique names out of the way, so that two objects can trade theirs in one transaction."""
    if spec.unique is None or len(old) < 2:  # noqa: PLR2004  one alone has nobody to trade with
        return
    table = tables.OF_KIND[spec.name]
    connection.execute(
        table.update().where(table.c.id == bindparam("b_id")).values({spec.unique: bindparam("b_name")}),
        [{"b_id": held.item.id, "b_name": f"\x1a{held.item.id}"} for _, held in old],
    )


def _update(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    primary = [column.name for column in table.primary_key]
    rest = [column.name for column in table.columns if column.name not in primary]
    statement = table.update().values({name: bindparam(f"b_{name}") for name in rest})
    for name in primary:
        statement = statement.where(table.c[name] == bindparam(f"b_{name}"))
    connection.execute(statement, [{f"b_{name}": value for name, value in row.items()} for row in rows])


def _write_nested(connection: Connection, kind: str, items: Iterable[Any], old: list[Any]) -> None:
    if kind not in tables.NESTED:
        return
    table, owner = tables.NESTED[kind]
    if old:
        connection.execute(
            table.delete().where(table.c[owner] == bindparam("b_owner")), [{"b_owner": item.id} for item in old]
        )
    rows = [row for item in items for row in tables.nested_rows(kind, item)]
    if rows:
        connection.execute(table.insert(), rows)


def _write_attributions(
    connection: Connection, spec: KindSpec, changed: Iterable[tuple[Key, Held | None, Any]]
) -> None:
    """Only rows that differ are touched: a thing may have a long history of long lists."""
    table = tables.attributions
    gone, new = [], []
    for key, old, item in changed:
        label = str(spec.label(key))
        before, after = set(old.item.attributions) if old else set(), set(item.attributions)
        gone += [{"b_object": label, "b_from_s": attribution.from_s} for attribution in before - after]
        new += [tables.attribution_row(spec.name, label, attribution) for attribution in after - before]
    if gone:
        same = table.c.object == bindparam("b_object"), table.c.from_s == bindparam("b_from_s")
        connection.execute(table.delete().where(table.c.kind == spec.name, *same), gone)
    if new:
        connection.execute(table.insert(), new)


def orphaned_keys(book: Book, changes: Changes) -> list[ApiKey]:
    """The API keys whose organization or project these changes delete."""
    gone = {
        (kind, key) for kind in ("organization", "project") for key, held in changes.get(kind, {}).items()
        if not held.is_alive
    }
    return [
        key for key in book.view.keys_by_sha256.values()
        if ("organization", key.organization) in gone or ("project", key.project) in gone
    ] if gone else []


def orphaned_write_tokens(book: Book, changes: Changes) -> list[WriteToken]:
    """The write tokens whose app these changes delete."""
    gone = {key for key, held in changes.get("app", {}).items() if not held.is_alive}
    return [token for token in book.view.write_tokens_by_sha256.values() if token.app in gone] if gone else []


def revoke_write_tokens(connection: Connection, tokens: Iterable[WriteToken], now_s: int) -> None:
    """The revocations are in the database."""
    table = tables.write_tokens
    for token in tokens:
        connection.execute(table.update().where(table.c.id == token.id).values(revoked_at_s=now_s))


def write_keys(
    connection: Connection, new: ApiKey | None, old: ApiKey | None, revoked: Iterable[str], now_s: int
) -> None:
    """The new key (in the row of `old`, where there is one) and the revocations are in the database."""
    table = tables.keys
    if new is not None:
        row = tables.key_row(new)
        statement = table.update().where(table.c.id == old.id) if old else table.insert()
        connection.execute(statement.values(row))
    for key_id in revoked:
        connection.execute(table.update().where(table.c.id == key_id).values(revoked_at_s=now_s))


def write_numbers(connection: Connection, old: Mapping[str, int], new: Mapping[str, int]) -> None:
    """The last numbers that were given out are in the database."""
    table = tables.numbers
    for kind, last in new.items():
        if kind not in old:
            connection.execute(table.insert().values(kind=kind, last=last))
        elif old[kind] != last:
            connection.execute(table.update().where(table.c.kind == kind).values(last=last))


def enter(book: Book, changes: Changes) -> None:
    """The changes are in the view. Objects, tuples and dicts of names are replaced, never changed."""
    for kind, spec in KINDS.items():
        changed = changes.get(kind)
        if not changed:
            continue
        if spec.natural:
            _enter_named(book, spec, changed)
        elif kind == "server":
            _enter_servers(book, changed)
        else:
            _enter_plain(book, spec, changed)
        if kind == "region":
            _index_slugs(book)
        if kind == "exporter":
            _index_addresses(book)
        if kind == "app":
            _index_client_ids(book)


def _enter_plain(book: Book, spec: KindSpec, changed: Mapping[Key, Held]) -> None:
    held = spec.held(book.view)
    added: dict[Key, set[Any]] = defaultdict(set)
    for key, new in changed.items():
        if spec.parent_field and key not in held:
            added[getattr(new.item, spec.parent_field)].add(new.item.id)
        held[key] = new.item
    if spec.children_in:
        _extend(getattr(book.view, spec.children_in), added)


def _extend(index: dict[Key, tuple[Any, ...]], added: Mapping[Key, set[Any]]) -> None:
    """Children stay sorted, so that the view is the same however it came about."""
    for parent, ids in added.items():
        index[parent] = tuple(sorted({*index.get(parent, ()), *ids}))


def _enter_servers(book: Book, changed: Mapping[Key, Held]) -> None:
    added: dict[Key, set[Any]] = defaultdict(set)
    dropped: dict[Key, set[Any]] = defaultdict(set)
    for key, new in changed.items():
        old = book.view.servers.get(key)
        before = {placement.project for placement in old.placements} if old else set()
        after = {placement.project for placement in new.item.placements}
        for project in after - before:
            added[project].add(key)
        for project in before - after:  # a move that was replaced by another one of the same slot
            dropped[project].add(key)
        book.view.servers[key] = new.item
    index = book.view.servers_of
    _extend(index, added)
    for project, ids in dropped.items():
        left = tuple(server for server in index[project] if server not in ids)
        if left:
            index[project] = left
        else:
            del index[project]


def _enter_named(book: Book, spec: KindSpec, changed: Mapping[Key, Held]) -> None:
    """Environments and consumers: the view holds the living ones, by id and by name within their app."""
    held, gone = spec.held(book.view), book.gone[spec.name]
    index: dict[int, dict[str, int]] = getattr(book.view, spec.children_in or "")
    fresh: dict[int, dict[str, int]] = {}
    for key, new in changed.items():
        app = new.item.app
        names = fresh.setdefault(app, dict(index.get(app, {})))
        old = held.get(key)
        old_name = getattr(old, spec.unique or "", None)
        if old_name is not None and names.get(old_name) == key:
            del names[old_name]
    for key, new in changed.items():
        if new.is_alive:
            held[key] = new.item
            gone.pop(key, None)
            fresh[new.item.app][getattr(new.item, spec.unique or "")] = key
    for app, names in fresh.items():
        if names:
            index[app] = names
        else:
            index.pop(app, None)
    for key, new in changed.items():  # last: a reader that came by name finds the object
        if not new.is_alive:
            gone[key] = new
            held.pop(key, None)


def _index_slugs(book: Book) -> None:
    """A slug means the living region of that name, else the one that was deleted last."""
    order = sorted(
        book.view.regions.values(),
        key=lambda region: (region.deleted_at_s is None, region.deleted_at_s or 0, region.id),
    )
    book.view.regions_by_slug = {region.slug: region for region in order}


def _index_addresses(book: Book) -> None:
    """An address means the living exporter that has it now."""
    living = [exporter for exporter in book.view.exporters.values() if exporter.deleted_at_s is None]
    book.view.exporters_by_address = {exporter.address: exporter for exporter in living}


def _index_client_ids(book: Book) -> None:
    """A client id means the living app that has it now."""
    living = [app for app in book.view.apps.values() if app.deleted_at_s is None]
    book.view.apps_by_client_id = {app.client_id: app.id for app in living if app.client_id is not None}


def enter_key(book: Book, key: ApiKey, *, is_revoked: bool = False) -> None:
    """The key is in the view, or out of it."""
    if is_revoked:
        book.view.keys_by_sha256.pop(key.sha256, None)
    else:
        book.view.keys_by_sha256[key.sha256] = key


def enter_endpoints(book: Book, app: int, added: Mapping[Endpoint, int]) -> None:
    """The endpoints are in the view."""
    book.view.endpoints_of[app] = {**book.view.endpoints_of.get(app, {}), **added}


def enter_write_token(book: Book, token: WriteToken, *, is_revoked: bool = False) -> None:
    """The token is in the view, or out of it."""
    if is_revoked:
        book.view.write_tokens_by_sha256.pop(token.sha256, None)
    else:
        book.view.write_tokens_by_sha256[token.sha256] = token


def enter_series(book: Book, entries: Iterable[Series]) -> None:
    """The series are in the view; ones that are there already are replaced."""
    view = book.view
    added: dict[Any, list[int]] = defaultdict(list)
    for entry in entries:
        if entry.id not in view.series:
            added[entry.key.kind, entry.key.object].append(entry.id)
        view.series[entry.id] = entry
        view.series_by_key[entry.key] = entry
    for owner, ids in added.items():
        view.series_of[owner] = (*view.series_of.get(owner, ()), *ids)
