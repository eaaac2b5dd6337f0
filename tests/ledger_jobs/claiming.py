"""A process, or a thread, that claims all there is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.job_writing import JobWriter
from platformless.prover.ledger.jobs import clock_ms

from .builder import CPU, LEASE_MS, LIVE, MOST_STARTS, PROVEN

Claimed = list[tuple[str, int]]


def claim_all(url: str, chain: str, together: Callable[[], object]) -> Claimed:
    """Ids of the proofs that were leased, and the leases' fences. A transaction each; begins when
    `together` returns."""
    database = Database.open(url)
    claimed: Claimed = []
    together()
    while True:
        with database.write() as connection:
            writer = JobWriter(connection, chain, clock_ms())
            lease = writer.claim_proof(LIVE, CPU, LEASE_MS, MOST_STARTS)
        if lease is None:
            break
        claimed.append((lease.job.id, lease.fence))
    database.close()
    return claimed


def step_all(url: str, chain: str, job_ids: list[str], together: Callable[[], object]) -> Claimed:
    """The same, with steps of jobs that are proven."""
    database = Database.open(url)
    claimed: Claimed = []
    together()
    for job_id in job_ids:
        with database.write() as connection:
            writer = JobWriter(connection, chain, clock_ms())
            lease = writer.claim_step(job_id, "step", [PROVEN], "host", LEASE_MS)
        if lease is not None:
            claimed.append((job_id, lease.fence))
    database.close()
    return claimed


def in_process(url: str, chain: str, barrier: Any, answers: Any) -> None:
    answers.put(claim_all(url, chain, barrier.wait))


def in_threads(number: int, work: Callable[[Callable[[], object]], Claimed]) -> list[Claimed]:
    """What each of several threads that begin together claimed."""
    barrier = threading.Barrier(number)
    found: list[Claimed] = []
    threads = [
        threading.Thread(target=lambda: found.append(work(barrier.wait))) for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
