"""Run by alembic: the steps happen on the connection, and in the transaction, of upgrading.py."""

from __future__ import annotations

from alembic import context

from platformless.prover.ledger.migrations.upgrading import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
