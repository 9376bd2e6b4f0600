"""Runs migrations with Alembic, one at a time."""

from alembic import context
from sqlalchemy import create_engine, text

from app.records import Base

# Any number will do, as long as nothing else in the database takes the same lock.
LOCK = 73_001

with create_engine(context.config.attributes["url"]).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.run_migrations()
    connection.commit()
