"""Sessions: bindings, inits, entries, streamed tokens, checkpoints, acknowledgements."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create(
        "bindings",
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("recovery_key", sa.LargeBinary),
    )
    _create("seen_inits", sa.Column("mark", sa.LargeBinary, primary_key=True))
    _create("sessions", sa.Column("ended", sa.Boolean, nullable=False), _sealed())
    _create("entries", _number("number"), _sealed())
    _create("streamed", _number("number"), _number("first"), _sealed())
    _create("checkpoints", _number("number"), _sealed())
    _create(
        "acknowledgements",
        _number("number"),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("chain", "session_id", "state"),
    )


def _create(name: str, *columns: sa.Column[Any] | sa.UniqueConstraint) -> None:
    op.create_table(
        name,
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("session_id", sa.Text, primary_key=True),
        *columns,
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _sealed() -> sa.Column[bytes]:
    return sa.Column("sealed", sa.LargeBinary, nullable=False)
