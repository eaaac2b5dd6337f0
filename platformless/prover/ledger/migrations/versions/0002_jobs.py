"""Jobs: what is to be done about sessions, who does it, what came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
        sa.Column("starts", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("not_before_ms", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger, nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("device", sa.Text),
        sa.Column("cpu_next", sa.Boolean, nullable=False),
        sa.Column("late_for", sa.Text),
        sa.Column("failed_from", sa.Text),
        sa.Column("problem_code", sa.Text),
        sa.Column("problem", sa.Text),
        sa.Column("cycles_done", sa.BigInteger, nullable=False),
        sa.Column("cycles_total", sa.BigInteger, nullable=False),
        sa.Column("segments_done", sa.BigInteger, nullable=False),
        sa.Column("segments_total", sa.BigInteger, nullable=False),
        sa.Column("expected_ms", sa.BigInteger),
    )
    op.create_index("jobs_by_age", "jobs", ["chain", "state", "created_ms", "job_id"])
    op.create_index("jobs_by_session", "jobs", ["chain", "session_id", "kind", "number"])
    op.create_index("jobs_by_urgency", "jobs", ["chain", "state", "queue", "due_at", "number"])
    op.create_table(
        "attempts",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("fence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("device", sa.Text),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("problem_code", sa.Text),
        sa.Column("problem", sa.Text),
    )
    op.create_table(
        "artefacts",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("proof_hash", sa.LargeBinary, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("bundle", sa.LargeBinary),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("receipt_kind", sa.Text, nullable=False),
        sa.Column("total_cycles", sa.BigInteger, nullable=False),
        sa.Column("segments", sa.BigInteger, nullable=False),
        sa.Column("prove_ms", sa.BigInteger, nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "submissions",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("proof_cid", sa.Text),
        sa.Column("delta_cid", sa.Text),
        sa.Column("index_cid", sa.Text),
        sa.Column("transaction_hash", sa.Text),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("fee_wei", sa.Text),
        sa.Column("host_earned", sa.Text),
        sa.Column("refunded", sa.Text),
        sa.Column("token", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("confirmed_ms", sa.BigInteger),
    )
