"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables of 0001 are there."""
    _create_tree()
    _create_servers()
    _create_vpns()
    _create_apps()
    _create_books()


def downgrade() -> None:
    """The database is empty again."""
    for name in (
        "numbers", "series", "keys", "spaces", "consumers", "environments", "excluded_endpoints", "apps", "peers",
        "vpn_instances", "placements", "servers", "quotas", "projects", "organizations", "regions",
    ):
        op.drop_table(name)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=null)


def _big(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)


def _refers(column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target])


def _unique_alive(table: str, *columns: str) -> None:
    """Unique among what is not deleted."""
    alive = sa.text("deleted_at_s IS NULL")
    op.create_index(
        f"{table}_{columns[-1]}", table, list(columns), unique=True, sqlite_where=alive, postgresql_where=alive
    )


def _create_tree() -> None:
    op.create_table(
        "regions", _text("id"), _text("slug"), _text("name"), _big("deleted_at_s", null=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "organizations", _text("id"), _text("slug"), _text("name"), _text("time_zone"),
        sa.Column("billing_day", sa.Integer(), nullable=False), _big("monthly_traffic_limit", null=True),
        _text("traffic_limit_unit"), _big("deleted_at_s", null=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "projects", _text("id"), _text("slug"), _text("organization"), _text("billing_method"),
        _big("price", null=True), _big("deleted_at_s", null=True),
        _refers("organization", "organizations.id"), sa.PrimaryKeyConstraint("id"),
    )
    _unique_alive("regions", "slug")
    _unique_alive("organizations", "slug")
    _unique_alive("projects", "organization", "slug")


def _create_servers() -> None:
    op.create_table(
        "quotas", _text("project"), _text("region"), _big("price", null=True), _big("tb_granted"),
        _big("tb_additional"), _big("mbps_granted"), _big("mbps_additional"),
        _refers("project", "projects.id"), sa.PrimaryKeyConstraint("project", "region"),
    )
    op.create_table(
        "servers", _text("id"), _text("hostname"), _text("project"), _text("region"), _big("deleted_at_s", null=True),
        _refers("project", "projects.id"), sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "placements", _text("server"), _big("from_s"), _text("project"), _text("region"),
        _refers("server", "servers.id"), _refers("project", "projects.id"),
        sa.PrimaryKeyConstraint("server", "from_s"),
    )


def _create_vpns() -> None:
    op.create_table(
        "vpn_instances", _text("id"), _text("organization"), _text("name"), _text("region", null=True),
        _text("primary_server", null=True), _big("deleted_at_s", null=True),
        _refers("organization", "organizations.id"), _refers("primary_server", "servers.id"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "peers", _text("vpn"), _text("id"), _text("public_key", null=True), _big("deleted_at_s", null=True),
        _refers("vpn", "vpn_instances.id"), sa.PrimaryKeyConstraint("vpn", "id"),
    )


def _create_apps() -> None:
    op.create_table(
        "apps", _big("id"), _text("organization"), _text("name"), _text("client_id", null=True),
        _big("deleted_at_s", null=True),
        _refers("organization", "organizations.id"), sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "excluded_endpoints", _big("app"), sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        _text("method"), _text("path"), _refers("app", "apps.id"), sa.PrimaryKeyConstraint("app", "position"),
    )
    op.create_table(
        "environments", _big("id"), _big("app"), _text("name"), _big("deleted_at_s", null=True),
        _refers("app", "apps.id"), sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "consumers", _big("id"), _big("app"), _text("identifier"), _text("name", null=True), _text("group", null=True),
        _big("deleted_at_s", null=True), _refers("app", "apps.id"), sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "spaces", _big("id"), _text("organization"), _text("name"), _big("deleted_at_s", null=True),
        _refers("organization", "organizations.id"), sa.PrimaryKeyConstraint("id"),
    )
    _unique_alive("apps", "client_id")
    _unique_alive("environments", "app", "name")
    _unique_alive("consumers", "app", "identifier")


def _create_books() -> None:
    op.create_table(
        "keys", _text("id"), _text("sha256"), _text("organization", null=True), _text("name"), _text("scopes"),
        _text("project", null=True), _big("created_at_s"), _big("expires_at_s", null=True),
        _big("revoked_at_s", null=True),
        _refers("organization", "organizations.id"), _refers("project", "projects.id"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("sha256"),
    )
    op.create_table(
        "series", _big("id"), sa.Column("digest", sa.LargeBinary(), nullable=False), _text("kind"), _text("object"),
        _big("environment", null=True), _big("consumer", null=True), _text("method", null=True),
        _text("path", null=True), sa.Column("polled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("digest"),
    )
    op.create_table("numbers", _text("kind"), _big("last"), sa.PrimaryKeyConstraint("kind"))
