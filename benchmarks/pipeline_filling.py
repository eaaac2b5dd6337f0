"""Ledgers full of finished jobs, written by SQL, for `benchmarks.pipeline`."""

from __future__ import annotations

import sqlalchemy as sa

from platformless.protocol.digests import ProofHash
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.job_states import JobKind, JobQueue, JobState
from platformless.prover.ledger.job_tables import artefacts, attempts, jobs, submissions
from platformless.prover.ledger.job_values import Artefact, Submission

CHAIN = f"84532:0x{'ab' * 32}:0x{'cd' * 20}"
"""As long as a real one: it is in every row and index."""
FINISHED_MS = 1_700_000_000_000
"""When the first one was made; then one each second."""
_BUNDLE = b"\x07" * 1024
ARTEFACT = Artefact(
    ProofHash.of(_BUNDLE), len(_BUNDLE), _BUNDLE, "cpu", "composite", 32_768, 1, 0, 1 << 30
)
PUBLISHED = Submission(proof_cid="u" + "p" * 48, delta_cid="u" + "d" * 48, index_cid="u" * 49)
SENT = Submission(transaction_hash="0x" + "ef" * 32)
CONFIRMED = Submission(block_number=1, fee_wei="21000000000", confirmed_ms=1)
_JOBS_OF_A_SESSION = 10  # nine checkpoints, then the settlement


def fill(database: Database, first: int, end: int) -> None:
    """Writes finished jobs, by their numbers."""
    numbers = sa.select(sa.literal(first).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n + 1 < end))
    n = numbers.c.n
    session_id = sa.cast(n // _JOBS_OF_A_SESSION + 1, sa.Text)
    place = n % _JOBS_OF_A_SESSION
    settles = place == _JOBS_OF_A_SESSION - 1
    job_id = session_id + "-" + sa.case((settles, "settlement"), else_=sa.cast(place, sa.Text))
    at_ms = n * 1000 + FINISHED_MS
    checkpoint, settlement = JobKind.CHECKPOINT.value, JobKind.SETTLEMENT.value
    live, settling = JobQueue.LIVE.value, JobQueue.SETTLEMENT.value
    of_job = {
        "kind": sa.case((settles, settlement), else_=checkpoint),
        "session_id": session_id,
        "number": sa.case((settles, 0), else_=place),
        "queue": sa.case((settles, settling), else_=live),
        "state": JobState.CONFIRMED.value,
        "tokens": 1000,
        "due_at": at_ms // 1000 + 3600,
        "created_ms": at_ms,
        "changed_ms": at_ms + 20_000,
        **dict.fromkeys(("starts", "segments_done", "segments_total"), 1),
        **dict.fromkeys(("failures", "not_before_ms", "lease_until_ms"), 0),
        "fence": 3,
        "began_ms": at_ms + 15_000,
        "device": "cpu",
        "cpu_next": sa.false(),
        **dict.fromkeys(("cycles_done", "cycles_total"), 32_768),
    }
    of_artefact = {
        "proof_hash": sa.func.randomblob(32),
        **{name: getattr(ARTEFACT, name) for name in ("size_bytes", "device", "receipt_kind")},
        **{name: getattr(ARTEFACT, name) for name in ("total_cycles", "segments", "prove_ms")},
        "peak_memory_bytes": ARTEFACT.peak_memory_bytes,
    }
    of_submission = {
        "proof_cid": PUBLISHED.proof_cid,
        "delta_cid": PUBLISHED.delta_cid,
        "index_cid": PUBLISHED.index_cid,
        "transaction_hash": SENT.transaction_hash,
        "block_number": n,
        "fee_wei": CONFIRMED.fee_wei,
        "confirmed_ms": at_ms + 20_000,
    }
    with database.write() as connection:
        for table, columns in (
            (jobs, of_job),
            *((attempts, _attempt(fence, at_ms)) for fence in (1, 2, 3)),
            (artefacts, of_artefact),
            (submissions, of_submission),
        ):
            values = {"chain": CHAIN, "job_id": job_id, **columns}
            rows = sa.select(*(_as_column(v).label(k) for k, v in values.items()))
            connection.execute(table.insert().from_select(list(values), rows.select_from(numbers)))


def _attempt(fence: int, at_ms: sa.ColumnElement[int]) -> dict[str, object]:
    return {
        "fence": fence,
        "step": ("prove", "publish", "submit")[fence - 1],
        "owner": "a-machine:12345:0a1b2c3d",
        "started_ms": at_ms + fence * 5000,
        "ended_ms": at_ms + (fence + 1) * 5000,
        "outcome": "done",
    }


def _as_column(value: object) -> sa.ColumnElement[object]:
    return value if isinstance(value, sa.ColumnElement) else sa.literal(value)
