"""Workers, clocks and people do anything in any order: the store does what expected.py says, and
what must never be never is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LeaseLost, TransitionRefused
from platformless.prover.ledger.job_reading import LONGEST_LEASE_MS, JobReader
from platformless.prover.ledger.job_states import TRANSITIONS, JobKind, JobQueue, JobState
from platformless.prover.ledger.job_values import Attempt, Lease, Problem
from platformless.prover.ledger.job_writing import JobWriter

from .builder import (
    ARTEFACT,
    AUDIT,
    BOTH,
    CONFIRMED,
    CPU,
    DAY_MS,
    FAILED,
    GPU,
    HALF_DONE,
    LEASE_MS,
    LIVE,
    MOST_STARTS,
    PROBLEM,
    PROVEN,
    PROVING,
    RECORDED,
    SUBMITTED,
    TRACED,
    Clock,
    on_both_databases,
)
from .expected import Expected, ExpectedStore

pytestmark = on_both_databases

CHECKPOINTS = {1: 3, 2: 2, 3: 1}
"""By session."""
TRACED_SESSIONS = (1, 3)
REST_MS = 5_000
TOO_EARLY = Problem("TST-002", "its time had not come")
_chains = count()


@dataclass
class Given:
    """A lease that somebody was given, and how long he might rely on it."""

    lease: Lease
    until_ms: int


class Jobs(RuleBasedStateMachine):
    """Several workers, one host, one operator."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.chain = f"machine {next(_chains)}"
        self.clock = Clock()
        self.given: list[Given] = []
        self.retried_at: dict[str, int] = {}
        self.confirmed: set[str] = set()
        self.due = count(2_000)
        self.expected = ExpectedStore(
            [
                Expected(session_id, number, 1_000 + session_id)
                for session_id, checkpoints in CHECKPOINTS.items()
                for number in (*range(checkpoints), None)
            ]
            + [Expected(3, 0, 5_000, is_sample=True)]  # confirming 3-0 makes no other one
        )
        self.write(self.add_all)

    def add_all(self, writer: JobWriter) -> None:
        for job in self.expected.jobs.values():
            writer.add(
                job.id,
                job.kind,
                job.session_id,
                number=job.number or 0,
                queue=job.queue,
                due_at=job.due_at,
            )

    def write(self, change: Callable[..., Any]) -> Any:
        with self.database.write() as connection:
            return change(JobWriter(connection, self.chain, self.clock()))

    def known(self, given: Given) -> Expected:
        return self.expected.jobs[given.lease.job.id]

    def holds(self, given: Given) -> bool:
        """Whether its holder may still change the job."""
        job = self.known(given)
        return job.fence == given.lease.fence and job.owner == given.lease.owner

    @contextmanager
    def require_rightly_lost(self) -> Iterator[None]:
        """Nobody loses in the block a lease that he may rely on."""
        relying = [given for given in self.given if self.holds(given)]
        yield
        for given in relying:
            if not self.holds(given):
                is_over = given.until_ms <= self.clock()
                assert is_over or given.until_ms > self.clock() + LONGEST_LEASE_MS

    def give(self, lease: Lease, job: Expected) -> Given:
        assert (lease.fence, lease.owner) == (job.fence, job.owner)
        assert lease.until_ms == job.until_ms
        self.given.append(Given(lease, lease.until_ms))
        return self.given[-1]

    # The clock

    @rule(ms=st.sampled_from([1, 1_000, REST_MS, LEASE_MS - 1, LEASE_MS, 700_000]))
    def time_passes(self, ms: int) -> None:
        self.clock.go(ms)

    @rule(ms=st.sampled_from([-DAY_MS, -LEASE_MS, -1, DAY_MS]))
    def the_clock_jumps(self, ms: int) -> None:
        self.clock.go(ms)

    # Workers

    @rule(
        queue=st.sampled_from([LIVE, LIVE, AUDIT]),
        worker=st.sampled_from([CPU, GPU, BOTH]),
        lease_ms=st.sampled_from([LEASE_MS, DAY_MS]),
    )
    def a_worker_asks_for_a_proof(self, queue: JobQueue, worker: Any, lease_ms: int) -> None:
        self.claim(queue, worker, lease_ms)

    @rule(queue=st.sampled_from([LIVE, AUDIT]), otherwise=st.integers(0, 3))
    def a_worker_builds_a_proof(self, queue: JobQueue, otherwise: int) -> None:
        if given := self.claim(queue, CPU, LEASE_MS):
            self.finish(given, otherwise)

    def claim(self, queue: JobQueue, worker: Any, lease_ms: int) -> Given | None:
        lease = self.write(lambda w: w.claim_proof(queue, worker, lease_ms, MOST_STARTS))
        with self.require_rightly_lost():
            job = self.expected.claim(queue, worker, self.clock(), lease_ms, MOST_STARTS)
        assert (lease and lease.job.id) == (job and job.id)
        if job is None:
            return None
        assert lease.job.device == job.device
        return self.give(lease, job)

    def at(self, place: int) -> Expected:
        jobs = list(self.expected.jobs.values())
        return jobs[place % len(jobs)]

    @rule(place=st.integers(0, 99))
    def the_host_asks_for_a_step(self, place: int) -> None:
        self.step(self.at(place))

    @rule(session_id=st.sampled_from(list(CHECKPOINTS)), otherwise=st.integers(0, 3))
    def the_host_takes_every_step_of_a_session(self, session_id: int, otherwise: int) -> None:
        of_session = [job for job in self.expected.jobs.values() if job.session_id == session_id]
        for job in 3 * of_session:
            if job.state not in (CONFIRMED, FAILED) and (given := self.step(job)):
                self.finish(given, otherwise)

    def step(self, job: Expected) -> Given | None:
        if job.is_unproven():
            return None
        lease = self.write(lambda w: w.claim_step(job.id, "step", [job.state], "host", LEASE_MS))
        assert (lease is not None) == self.expected.may_be_stepped(job, self.clock())
        if lease is None:
            return None
        with self.require_rightly_lost():
            self.expected.lease(job, "host", self.clock(), LEASE_MS)
        return self.give(lease, job)

    def held(self, place: int) -> tuple[Given, Expected] | None:
        holding = [given for given in self.given if self.holds(given)]
        if not holding:
            return None
        given = holding[place % len(holding)]
        return given, self.known(given)

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9))
    def a_holder_renews(self, place: int) -> None:
        if held := self.held(place):
            given, job = held
            self.write(lambda w: w.renew(given.lease, LEASE_MS, HALF_DONE))
            given.until_ms = job.until_ms = self.clock() + LEASE_MS
            job.changed_ms = self.clock()

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9), otherwise=st.integers(0, 3))
    def a_holder_finishes(self, place: int, otherwise: int) -> None:
        if held := self.held(place):
            self.finish(held[0], otherwise)

    def finish(self, given: Given, otherwise: int) -> None:
        job = self.known(given)
        state = job.following
        if job.is_sample and not otherwise:  # it was not drawn; or its block is another one
            state = CONFIRMED if job.state is PROVING else RECORDED
        traced = TRACED if job.session_id in TRACED_SESSIONS else ARTEFACT
        artefact = traced if state is PROVEN else None
        self.write(lambda w: w.finish(given.lease, state, artefact=artefact))
        job.go_to(state)
        job.changed_ms = self.clock()
        job.free()
        if (job.kind, state, traced) == (JobKind.CHECKPOINT, CONFIRMED, TRACED):
            self.expected.ask_for_sample(job, self.clock())

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9))
    def a_holder_goes_on(self, place: int) -> None:
        if held := self.held(place):
            given, job = held
            state = job.following
            if job.state is not PROVING and state is not CONFIRMED:
                self.write(lambda w: w.move(given.lease, state))
                job.go_to(state)

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9), state=st.sampled_from(list(JobState)))
    def a_holder_does_what_is_not_allowed(self, place: int, state: JobState) -> None:
        if held := self.held(place):
            given, job = held
            if state is FAILED or state not in TRANSITIONS[job.kind][job.state]:
                with pytest.raises(TransitionRefused):
                    self.write(lambda w: w.finish(given.lease, state))

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9))
    def a_holder_is_told_to_stop(self, place: int) -> None:
        if held := self.held(place):
            given, job = held
            self.write(lambda w: w.release(given.lease))
            if job.state is PROVING:
                job.state, job.starts = RECORDED, job.starts - 1
            job.not_before_ms = 0
            job.changed_ms = self.clock()
            job.free()

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9))
    def a_device_refuses(self, place: int) -> None:
        if (held := self.held(place)) and held[1].state is PROVING:
            given, job = held
            assert job.device is not None
            self.write(lambda w: w.refuse(given.lease, job.device, PROBLEM))
            job.late_for.add(job.device)
            job.state, job.starts = RECORDED, job.starts - 1
            job.not_before_ms, job.cpu_next = 0, False
            job.changed_ms = self.clock()
            job.free()

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9), cpu_next=st.booleans(), rest_ms=st.sampled_from([0, REST_MS]))
    def a_holder_fails_for_now(self, place: int, cpu_next: bool, rest_ms: int) -> None:
        if held := self.held(place):
            given, job = held
            self.write(lambda w: w.retry_later(given.lease, PROBLEM, rest_ms, cpu_next=cpu_next))
            if job.state is PROVING:
                job.state, job.cpu_next = RECORDED, cpu_next
            job.failures += 1
            job.not_before_ms = self.clock() + rest_ms
            job.changed_ms = self.clock()
            job.free()

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9))
    def a_holder_has_to_wait(self, place: int) -> None:
        if held := self.held(place):
            given, job = held
            self.write(lambda w: w.retry_later(given.lease, TOO_EARLY, REST_MS, is_foreseen=True))
            if job.state is PROVING:
                job.state, job.cpu_next, job.starts = RECORDED, False, job.starts - 1
            job.not_before_ms = self.clock() + REST_MS
            job.changed_ms = self.clock()
            job.free()

    @precondition(lambda self: self.held(0))
    @rule(place=st.integers(0, 9))
    def a_holder_gives_up(self, place: int) -> None:
        if held := self.held(place):
            given, job = held
            self.write(lambda w: w.fail(given.lease, PROBLEM))
            job.fail()

    @precondition(lambda self: any(not self.holds(given) for given in self.given))
    @rule(place=st.integers(0, 9), way=st.integers(0, 6))
    def who_lost_a_lease_changes_nothing(self, place: int, way: int) -> None:
        lost = [given.lease for given in self.given if not self.holds(given)]
        lease = lost[place % len(lost)]
        ways: list[Callable[[JobWriter], None]] = [
            lambda w: w.renew(lease, LEASE_MS, HALF_DONE),
            lambda w: w.finish(lease, PROVEN, artefact=ARTEFACT),
            lambda w: w.move(lease, SUBMITTED),
            lambda w: w.release(lease),
            lambda w: w.refuse(lease, "cpu", PROBLEM),
            lambda w: w.retry_later(lease, PROBLEM, 0),
            lambda w: w.fail(lease, PROBLEM),
        ]
        with pytest.raises(LeaseLost):
            self.write(ways[way])

    # People

    @rule(place=st.integers(0, 99))
    def an_operator_retries(self, place: int) -> None:
        job = self.at(place)
        if job.state is not FAILED:
            with pytest.raises(TransitionRefused):
                self.write(lambda w: w.retry(job.id))
            return
        self.write(lambda w: w.retry(job.id))
        assert job.failed_from is not None
        job.go_to(RECORDED if job.failed_from is PROVING else job.failed_from)
        job.starts, job.failed_from, job.late_for = 0, None, set()
        job.changed_ms = self.clock()
        settlement = self.expected.jobs[f"{job.session_id}-settlement"]
        if settlement.state not in (CONFIRMED, FAILED):
            settlement.not_before_ms = 0
        self.retried_at[job.id] = job.fence

    @rule(place=st.integers(0, 99), surely=st.integers(0, 3))
    def a_job_is_given_up(self, place: int, surely: int) -> None:
        job = self.at(place)
        if surely:  # seldom, else little is ever done
            return
        self.write(lambda w: w.fail_unheld(job.id, PROBLEM))
        if job.state not in (CONFIRMED, FAILED):
            job.fail()
            job.fence += 1

    @rule(session_id=st.sampled_from(list(CHECKPOINTS)))
    def a_session_is_due_later(self, session_id: int) -> None:
        due_at = next(self.due)
        self.write(lambda w: w.set_due(session_id, due_at))
        for job in self.expected.jobs.values():
            is_open = job.state not in (CONFIRMED, FAILED)
            if job.session_id == session_id and is_open and not job.is_sample:
                job.due_at, job.late_for = due_at, set()

    # What must hold

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        now_ms = self.clock()
        with self.database.read() as connection:
            reader = JobReader(connection, self.chain)
            jobs = reader.of_sessions(list(CHECKPOINTS))
            proofs = {queue: reader.ready_proofs(queue, 99, now_ms) for queue in (LIVE, AUDIT)}
            steps = reader.ready_steps(99, now_ms)
            attempts = {job.id: reader.attempts(job.id) for job in jobs if job.fence}
        assert [job.id for job in jobs] == self.expected.in_order()
        for job in jobs:
            self.expected.jobs[job.id].require_like(job)
        for queue, ready in proofs.items():
            assert ready == self.expected.ready_proofs(queue, now_ms)
        assert len(steps) == len(set(steps))
        assert set(steps) == self.expected.ready_steps(now_ms)
        for job_id, made in attempts.items():
            self.require_told(self.expected.jobs[job_id], made)
        confirmed = {job.id for job in jobs if job.state is CONFIRMED}
        assert self.confirmed <= confirmed
        self.confirmed = confirmed

    def require_told(self, job: Expected, attempts: list[Attempt]) -> None:
        """Attempts tell what was done."""
        for attempt in attempts:
            under_way = attempt.fence == job.fence and job.owner is not None
            assert (attempt.ended_ms is None) == (attempt.outcome is None) == under_way
        since = [a for a in attempts if a.fence > self.retried_at.get(job.id, 0)]
        proofs = [a for a in since if a.step == "prove"]
        assert job.starts == len([a for a in proofs if counts(a)]) <= MOST_STARTS
        begun = [a for a in proofs if a.outcome != "released"]
        for lost, following in pairwise(begun):
            if lost.outcome == "lost" and lost.device == "cuda":
                assert following.device == "cpu"


def counts(attempt: Attempt) -> bool:
    return attempt.outcome not in ("released", "refused") and attempt.problem != TOO_EARLY


def test_anything_in_any_order_keeps_to_the_rules(database: Database) -> None:
    class Machine(Jobs):
        def __init__(self) -> None:
            super().__init__(database)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
        ),
    )
