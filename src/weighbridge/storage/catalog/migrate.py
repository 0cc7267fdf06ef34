"""Bringing a database to the newest schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from weighbridge.domain.errors import DamagedStoreError
from weighbridge.storage.catalog.tables import REVISION, metadata

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection


def migrate(connection: Connection) -> None:
    """The database has the newest schema, made or changed in the connection's transaction where it had not.

    DamagedStoreError: a revision that this version does not know (a newer Weighbridge was here).
    """
    stored = stored_revision(connection)
    if stored == REVISION:
        return
    if stored is None and not inspect(connection).get_table_names():
        _make(connection)
        return
    # Imported here: Alembic takes as long to import as the rest of the catalog, and is needed at upgrades only.
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    try:
        command.upgrade(alembic_config(connection), REVISION)
    except CommandError as error:
        msg = f"the catalog's schema is {stored!r}, which this version does not know: was a newer Weighbridge here?"
        raise DamagedStoreError(msg) from error


def _make(connection: Connection) -> None:
    """An empty database has the newest schema, without Alembic: a first start is faster and 10 MB smaller for it.

    A test holds this schema and that of all migrations to be the same.
    """
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})


def stored_revision(connection: Connection) -> str | None:
    """The schema's revision as the database says it, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for the migrations in this package, without any file."""
    from alembic.config import Config  # noqa: PLC0415  see migrate

    config = Config(attributes={"connection": connection})
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
