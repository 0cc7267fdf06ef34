"""What apps tell of themselves: endpoints, write tokens, frameworks, and when things were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CREATED_IN = ("apps", "environments", "consumers")
_FIRST_NUMBER = 1_000_000


def upgrade() -> None:
    """The tables of 0002 are there; endpoints that traffic named before have their numbers."""
    for table in _CREATED_IN:
        op.add_column(table, sa.Column("created_at_s", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("apps", sa.Column("framework", sa.String(), nullable=True))
    endpoints = op.create_table(
        "endpoints",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("app", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("app", "method", "path"),
    )
    op.create_table(
        "write_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("app", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("created_at_s", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_s", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    _enter_known(endpoints)


def _enter_known(endpoints: sa.Table) -> None:
    connection = op.get_bind()
    known = connection.execute(sa.text(
        "SELECT DISTINCT object, method, path FROM series "
        "WHERE kind = 'app' AND method IS NOT NULL AND path IS NOT NULL ORDER BY object, path, method"
    )).all()
    if not known:
        return
    rows = [
        {"id": number, "app": int(app), "method": method, "path": path}
        for number, (app, method, path) in enumerate(known, _FIRST_NUMBER)
    ]
    connection.execute(endpoints.insert(), rows)
    last = {"last": rows[-1]["id"]}
    connection.execute(sa.text("INSERT INTO numbers (kind, last) VALUES ('endpoint', :last)"), last)


def downgrade() -> None:
    """The tables are those of 0001."""
    op.drop_table("write_tokens")
    op.drop_table("endpoints")
    op.drop_column("apps", "framework")
    for table in _CREATED_IN:
        op.drop_column(table, "created_at_s")
