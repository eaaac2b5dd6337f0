"""Traces: which one a checkpoint's claim commits to, or why there is none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("artefacts", sa.Column("trace_root", sa.LargeBinary))
    op.add_column("artefacts", sa.Column("trace_problem_code", sa.Text))
    op.add_column("artefacts", sa.Column("trace_problem", sa.Text))
