"""By what things are known on the network, the exporters that see them, and who saw the usage of a series."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables of 0003 are there. Series from before have no `via`, and keep their numbers."""
    op.add_column("series", sa.Column("via", sa.String(), nullable=True))
    op.add_column("peers", sa.Column("common_name", sa.String(), nullable=True))
    op.create_table(
        "exporters",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("sampling_rate", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at_s", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    alive = sa.text("deleted_at_s IS NULL")
    op.create_index(
        "exporters_address", "exporters", ["address"], unique=True, sqlite_where=alive, postgresql_where=alive
    )
    op.create_table(
        "exporter_networks",
        sa.Column("exporter", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["exporter"], ["exporters.id"]),
        sa.PrimaryKeyConstraint("exporter", "position"),
    )
    op.create_table(
        "attributions",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("from_s", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("declared", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "object", "from_s"),
    )


def downgrade() -> None:
    """The tables are those of 0002. Series that differ in `via` alone stay apart, by their digests."""
    op.drop_table("attributions")
    op.drop_table("exporter_networks")
    op.drop_index("exporters_address", "exporters")
    op.drop_table("exporters")
    op.drop_column("peers", "common_name")
    op.drop_column("series", "via")
