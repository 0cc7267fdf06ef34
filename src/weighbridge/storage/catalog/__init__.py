"""The catalog on SQLAlchemy Core and Alembic: SQLite by default, any SQLAlchemy URL."""
