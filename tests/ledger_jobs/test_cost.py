"""The cost of a job does not depend on how many there are: no query reads a whole table."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.job_reading import JobReader
from platformless.prover.ledger.job_states import JobKind, JobState
from platformless.prover.ledger.job_tables import jobs as job_table
from platformless.prover.ledger.job_values import Submission
from platformless.prover.ledger.job_writing import JobWriter

from .builder import (
    ARTEFACT,
    AUDIT,
    BOTH,
    CONFIRMED,
    CPU,
    FAILED,
    GPU,
    LEASE_MS,
    LIVE,
    MOST_STARTS,
    PROBLEM,
    PROVEN,
    PUBLISHED,
    RECORDED,
    SETTLEMENT,
    SUBMITTED,
    TRACED,
)

CHAIN = "31337"
NOW_MS = 1_700_000_000_000
FEW, MANY = 200, 5_000
Work = Callable[[JobWriter, JobReader], object]


def prove(writer: JobWriter, _: JobReader) -> None:
    lease = writer.claim_proof(LIVE, CPU, LEASE_MS, MOST_STARTS)
    assert lease is not None
    writer.renew(lease, LEASE_MS, None)
    writer.finish(lease, PROVEN, artefact=ARTEFACT)


def lose_and_refuse(writer: JobWriter, _: JobReader) -> None:
    for worker in (GPU, BOTH):
        lease = writer.claim_proof(LIVE, worker, 0, MOST_STARTS)
        assert lease is not None
    lease = writer.claim_proof(LIVE, CPU, LEASE_MS, MOST_STARTS)
    assert lease is not None
    writer.refuse(lease, "cpu", PROBLEM)


def confirm(writer: JobWriter, _: JobReader) -> None:
    for state, new in ((PROVEN, PUBLISHED), (PUBLISHED, SUBMITTED), (SUBMITTED, CONFIRMED)):
        lease = writer.claim_step("2000000-0", "step", [state], "host", LEASE_MS)
        assert lease is not None
        artefact = TRACED if new is PUBLISHED else None
        writer.finish(lease, new, artefact=artefact, submission=Submission(fee_wei="1"))


def sample(writer: JobWriter, _: JobReader) -> None:
    lease = writer.claim_proof(AUDIT, CPU, LEASE_MS, MOST_STARTS)
    assert lease is not None
    writer.retry_later(lease, PROBLEM, 0, is_foreseen=True)
    lease = writer.claim_proof(AUDIT, CPU, LEASE_MS, MOST_STARTS)
    assert lease is not None
    writer.finish(lease, PROVEN, artefact=ARTEFACT)
    for new in (RECORDED, CONFIRMED):
        lease = writer.claim_step("2000001-0-sample", "step", [PROVEN], "host", LEASE_MS)
        assert lease is not None
        writer.finish(lease, new)
        if new is RECORDED:
            lease = writer.claim_proof(AUDIT, CPU, LEASE_MS, MOST_STARTS)
            assert lease is not None
            writer.finish(lease, PROVEN, artefact=ARTEFACT)


def give_up_and_retry(writer: JobWriter, _: JobReader) -> None:
    writer.fail_unheld("2000000-1", PROBLEM)
    writer.retry("2000000-1")
    writer.set_due(2_000_000, 5)


def ask_what_is_ready(_: JobWriter, reader: JobReader) -> None:
    assert len(reader.ready_proofs(LIVE, 10, NOW_MS)) == 2
    assert len(reader.ready_proofs(AUDIT, 10, NOW_MS)) == 1
    assert [state for _, state in reader.ready_steps(10, NOW_MS)] == [PROVEN, PUBLISHED, PROVEN]


def ask_about_sessions(_: JobWriter, reader: JobReader) -> None:
    assert len(reader.of_sessions([2_000_000, 2_000_001])) == 7
    assert reader.open_sessions(10) == [2_000_000, 2_000_001]


def ask_about_a_job(_: JobWriter, reader: JobReader) -> None:
    reader.job("2000000-0")
    reader.attempts("2000000-0")
    reader.artefact("2000000-0")
    reader.submission("2000000-0")


WORK = [
    prove,
    lose_and_refuse,
    confirm,
    sample,
    give_up_and_retry,
    ask_what_is_ready,
    ask_about_sessions,
    ask_about_a_job,
]


def add(database: Database, chain: str, past: int) -> None:
    """Sessions that are over, one that failed, and two that are open."""
    with database.write() as connection:
        writer = JobWriter(connection, chain, NOW_MS)
        one = _row_of(connection, writer)
        rows = []
        for number in range(past):
            session_id = 1_000_000 + number
            state = FAILED if number % 50 == 0 else CONFIRMED
            rows += [
                {**one, "job_id": f"{session_id}-0", "session_id": str(session_id)},
                {
                    **one,
                    "job_id": f"{session_id}-settlement",
                    "session_id": str(session_id),
                    "kind": "settlement",
                    "queue": "settlement",
                },
                {
                    **one,
                    "job_id": f"{session_id}-0-sample",
                    "session_id": str(session_id),
                    "kind": "sample",
                    "queue": "audit",
                },
            ]
            for row in rows[-3:]:
                row |= {"chain": chain, "state": state.value, "due_at": number}
        connection.execute(job_table.insert(), rows)
        places = [(0, PROVEN), (1, PROVEN)], [(0, PUBLISHED), (1, RECORDED), (2, RECORDED)]
        for session_id, jobs in enumerate(places, 2_000_000):
            for number, state in jobs:
                job_id = f"{session_id}-{number}"
                writer.add(
                    job_id, JobKind.CHECKPOINT, session_id, number=number, queue=LIVE, due_at=9
                )
                _place(connection, chain, job_id, state)
        for number, state in enumerate((PROVEN, RECORDED)):
            job_id = f"2000001-{number}-sample"
            writer.add(
                job_id, JobKind.SAMPLE, 2_000_001, number=number, queue=AUDIT, due_at=9 + number
            )
            _place(connection, chain, job_id, state)


def _row_of(connection: sa.Connection, writer: JobWriter) -> dict[str, Any]:
    """A row like any other; it is gone again."""
    writer.add("1", JobKind.CHECKPOINT, 1, queue=SETTLEMENT, due_at=1)
    row = dict(connection.execute(sa.select(job_table)).mappings().one())
    connection.execute(job_table.delete())
    return row | {"queue": LIVE.value}


def _place(connection: sa.Connection, chain: str, job_id: str, state: JobState) -> None:
    this = sa.and_(job_table.c.chain == chain, job_table.c.job_id == job_id)
    connection.execute(job_table.update().where(this), {"state": state.value})


@contextmanager
def undone(database: Database) -> Iterator[sa.Connection]:
    """A transaction that leaves nothing."""
    with database.writers.connect() as connection:
        yield connection
        connection.rollback()


def plans(database: Database, work: Work) -> list[tuple[str, str]]:
    """Each statement, and a step of how SQLite would run it."""
    said: list[tuple[str, Any]] = []

    def listen(_: object, __: object, statement: str, values: Any, *___: object) -> None:
        said.append((statement, values))

    with undone(database) as connection:
        sa.event.listen(connection, "before_cursor_execute", listen)
        work(JobWriter(connection, CHAIN, NOW_MS), JobReader(connection, CHAIN))
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        return [
            (statement, step[3])
            for statement, values in said
            for step in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        ]


def instructions(database: Database, work: Work) -> int:
    """How many instructions of its virtual machine SQLite runs."""
    ran = 0

    def count() -> int:
        nonlocal ran
        ran += 1
        return 0

    with undone(database) as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(count, 1)
        work(JobWriter(connection, CHAIN, NOW_MS), JobReader(connection, CHAIN))
        raw.set_progress_handler(None, 0)
    return ran


@pytest.mark.parametrize("work", WORK)
def test_every_query_goes_by_an_index(database: Database, work: Work) -> None:
    add(database, CHAIN, FEW)
    found = plans(database, work)
    searches = [step for _, step in found if step.startswith("SEARCH")]
    assert searches
    assert [pair for pair in found if pair[1].startswith("SCAN")] == []
    for step in searches:
        assert "chain=?" in step
        assert step.count("=?") >= 2, step  # by the chain alone would be all rows


def test_what_is_most_urgent_is_found_in_order(database: Database) -> None:
    add(database, CHAIN, FEW)
    found = plans(database, lambda writer, _: writer.claim_proof(LIVE, CPU, LEASE_MS, MOST_STARTS))
    urgent = [step for statement, step in found if "late_for IS NULL" in statement]
    assert urgent == [
        "SEARCH jobs USING INDEX jobs_by_urgency (chain=? AND state=? AND queue=?)",
    ]


def test_work_costs_the_same_whatever_was_done_before(tmp_path: Path) -> None:
    costs = []
    for past in (FEW, MANY):
        database = Database.open(f"sqlite:///{tmp_path}/{past}.db")
        add(database, CHAIN, past)
        costs.append({work.__name__: instructions(database, work) for work in WORK})
        database.close()
    few, many = costs
    for name in few:
        assert many[name] <= few[name] * 1.05, name


def test_a_claim_costs_the_same_however_many_wait(tmp_path: Path) -> None:
    costs = []
    for waiting in (FEW, MANY):
        database = Database.open(f"sqlite:///{tmp_path}/{waiting}.db")
        add(database, CHAIN, waiting)
        with database.write() as connection:
            connection.execute(job_table.update(), {"state": RECORDED.value})
        costs.append(instructions(database, prove))
        database.close()
    assert costs[1] <= costs[0] * 1.05
