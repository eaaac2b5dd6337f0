"""The tables of jobs (SQLite or PostgreSQL).

jobs          one row a job: state, lease, deadline, progress
attempts      one row a lease that was given, by its fence
artefacts     one row a proof that was built; its bytes go away once it is confirmed
submissions   one row a job that was published or sent: CIDs, transaction, money

Nothing in them is private. The indexes keep the cost of a job the same however many are done.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .tables import metadata


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        *columns,
    )


def _text(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _whole(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


jobs = _table(
    "jobs",
    _text("kind", nullable=False),
    _text("session_id", nullable=False),
    _whole("number"),
    _text("queue", nullable=False),
    _text("state", nullable=False),
    _whole("tokens"),
    _whole("due_at"),
    _whole("created_ms"),
    _whole("changed_ms"),
    _whole("starts"),
    _whole("failures"),
    _whole("not_before_ms"),
    _text("owner"),
    _whole("fence"),
    _whole("lease_until_ms"),
    _whole("began_ms"),
    _text("device"),
    sa.Column("cpu_next", sa.Boolean, nullable=False),
    _text("late_for"),
    _text("failed_from"),
    _text("problem_code"),
    _text("problem"),
    _whole("cycles_done"),
    _whole("cycles_total"),
    _whole("segments_done"),
    _whole("segments_total"),
    _whole("expected_ms", nullable=True),
)
sa.Index(
    "jobs_by_urgency",
    jobs.c.chain,
    jobs.c.state,
    jobs.c.queue,
    jobs.c.due_at,
    jobs.c.number,
)
sa.Index("jobs_by_session", jobs.c.chain, jobs.c.session_id, jobs.c.kind, jobs.c.number)
sa.Index("jobs_by_age", jobs.c.chain, jobs.c.state, jobs.c.created_ms, jobs.c.job_id)

attempts = _table(
    "attempts",
    sa.Column("fence", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("step", nullable=False),
    _text("owner", nullable=False),
    _text("device"),
    _whole("started_ms"),
    _whole("ended_ms", nullable=True),
    _text("outcome"),
    _text("problem_code"),
    _text("problem"),
)

artefacts = _table(
    "artefacts",
    sa.Column("proof_hash", sa.LargeBinary, nullable=False),
    _whole("size_bytes"),
    sa.Column("bundle", sa.LargeBinary),
    _text("device", nullable=False),
    _text("receipt_kind", nullable=False),
    _whole("total_cycles"),
    _whole("segments"),
    _whole("prove_ms"),
    _whole("peak_memory_bytes"),
    sa.Column("trace_root", sa.LargeBinary),
    _text("trace_problem_code"),
    _text("trace_problem"),
)

submissions = _table(
    "submissions",
    _text("proof_cid"),
    _text("delta_cid"),
    _text("index_cid"),
    _text("transaction_hash"),
    _whole("block_number", nullable=True),
    _text("fee_wei"),
    _text("host_earned"),
    _text("refunded"),
    _text("token"),
    _text("outcome"),
    _whole("confirmed_ms", nullable=True),
)
