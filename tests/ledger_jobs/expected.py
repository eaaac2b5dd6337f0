"""What the store of jobs ought to do, said once more: plain values, no database, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from platformless.prover.ledger.job_claiming import LAST_CHOICE_MS, WAIT_FOR_CPU_MS
from platformless.prover.ledger.job_reading import LONGEST_LEASE_MS, LONGEST_REST_MS
from platformless.prover.ledger.job_states import OVER, JobKind, JobQueue, JobState
from platformless.prover.ledger.job_values import Job, Worker

from .builder import (
    AUDIT,
    CONFIRMED,
    FAILED,
    LIVE,
    PROVEN,
    PROVING,
    PUBLISHED,
    RECORDED,
    SETTLEMENT,
    SUBMITTED,
)

SAMPLE_DUE_SECONDS = 86_400
_QUEUES = {JobKind.CHECKPOINT: LIVE, JobKind.SAMPLE: AUDIT, JobKind.SETTLEMENT: SETTLEMENT}
GOES_ON = {PROVEN: PUBLISHED, PUBLISHED: SUBMITTED, SUBMITTED: CONFIRMED}
_NEEDS = {
    PROVEN: {PUBLISHED, SUBMITTED, CONFIRMED},
    PUBLISHED: {CONFIRMED},
    SUBMITTED: {CONFIRMED},
}


@dataclass
class Expected:
    """A job."""

    session_id: int
    number: int | None
    """None for a settlement."""
    due_at: int
    is_sample: bool = False
    state: JobState = RECORDED
    starts: int = 0
    failures: int = 0
    fence: int = 0
    owner: str | None = None
    until_ms: int = 0
    not_before_ms: int = 0
    device: str | None = None
    cpu_next: bool = False
    late_for: set[str] = field(default_factory=set)
    failed_from: JobState | None = None
    changed_ms: int = 0

    @property
    def id(self) -> str:
        name = "settlement" if self.number is None else str(self.number)
        return f"{self.session_id}-{name}{'-sample' if self.is_sample else ''}"

    @property
    def kind(self) -> JobKind:
        if self.number is None:
            return JobKind.SETTLEMENT
        return JobKind.SAMPLE if self.is_sample else JobKind.CHECKPOINT

    @property
    def queue(self) -> JobQueue:
        return _QUEUES[self.kind]

    @property
    def following(self) -> JobState:
        """What a job that is being worked on is next, when all goes well."""
        if self.state is PROVING:
            return PROVEN
        return CONFIRMED if self.is_sample else GOES_ON.get(self.state, SUBMITTED)

    def require_like(self, job: Job) -> None:
        assert (job.id, job.state, job.starts) == (self.id, self.state, self.starts)
        assert (job.owner, job.fence, job.failures) == (self.owner, self.fence, self.failures)
        assert job.lease_until_ms == self.until_ms
        assert job.not_before_ms == self.not_before_ms
        assert (job.device, job.due_at, job.failed_from) == (
            self.device,
            self.due_at,
            self.failed_from,
        )
        assert set((job.late_for or "").split()) == self.late_for
        if self.state in (RECORDED, PROVING):
            assert job.cpu_next == self.cpu_next

    def is_ready(self, now_ms: int) -> bool:
        rests = now_ms < self.not_before_ms <= now_ms + LONGEST_REST_MS
        held = now_ms < self.until_ms <= now_ms + LONGEST_LEASE_MS
        return not rests and not held and self.state not in OVER

    def is_unproven(self) -> bool:
        return self.number is not None and self.state in (RECORDED, PROVING)

    def may_be_proven_by(self, worker: Worker, now_ms: int) -> bool:
        is_late = self.state is RECORDED and worker.device in self.late_for
        if is_late and self.changed_ms > now_ms - LAST_CHOICE_MS:
            return False
        tried_by_cpu = self.owner is not None and self.device == "cpu"
        no_cpu_came = self.changed_ms <= now_ms - WAIT_FOR_CPU_MS
        return worker.has_cpu or not self.cpu_next or tried_by_cpu or no_cpu_came

    def urgency(self, device: str | None) -> tuple[int, int, int]:
        late = 2 if device in self.late_for else 1
        return 0 if self.state is PROVING else late, self.due_at, self.number or 0

    def free(self) -> None:
        self.owner, self.until_ms = None, 0

    def go_to(self, state: JobState) -> None:
        self.state = state
        self.failures = self.not_before_ms = 0
        self.cpu_next = False

    def fail(self) -> None:
        self.failed_from, self.state = self.state, FAILED
        self.free()


class ExpectedStore:
    """All jobs."""

    def __init__(self, jobs: list[Expected]) -> None:
        self.jobs = {job.id: job for job in jobs}

    def lease(self, job: Expected, owner: str, now_ms: int, lease_ms: int) -> None:
        job.fence += 1
        job.changed_ms = now_ms
        job.owner, job.until_ms = owner, now_ms + min(lease_ms, LONGEST_LEASE_MS)

    def ask_for_sample(self, checkpoint: Expected, now_ms: int) -> None:
        """A checkpoint with a trace is confirmed."""
        due_at = now_ms // 1000 + SAMPLE_DUE_SECONDS
        sample = Expected(checkpoint.session_id, checkpoint.number, due_at, is_sample=True)
        self.jobs.setdefault(sample.id, sample)

    def in_order(self) -> list[str]:
        """Ids by session, in each checkpoints, then samples, then the settlement."""
        kinds = list(JobKind)
        jobs = self.jobs.values()
        key = {job.id: (job.session_id, kinds.index(job.kind), job.number or 0) for job in jobs}
        return sorted(key, key=lambda job_id: key[job_id])

    def claim(
        self, queue: JobQueue, worker: Worker, now_ms: int, lease_ms: int, most_starts: int
    ) -> Expected | None:
        while True:
            ready = [
                job
                for job in self.jobs.values()
                if job.queue is queue
                and job.is_unproven()
                and job.is_ready(now_ms)
                and job.may_be_proven_by(worker, now_ms)
            ]
            if not ready:
                return None
            job = min(ready, key=lambda job: job.urgency(worker.device))
            if job.starts >= most_starts:
                job.fail()
                continue
            if job.state is PROVING and job.owner is not None:
                job.cpu_next = job.device == "cuda"
                if job.cpu_next and not worker.has_cpu:
                    job.free()
                    job.changed_ms = now_ms
                    continue
            job.cpu_next = job.cpu_next and worker.has_cpu
            self.lease(job, worker.owner, now_ms, lease_ms)
            job.device = "cpu" if job.cpu_next else worker.device
            job.state, job.starts = PROVING, job.starts + 1
            return job

    def may_be_stepped(self, job: Expected, now_ms: int) -> bool:
        return not job.is_unproven() and job.is_ready(now_ms) and self.has_its_turn(job)

    def has_its_turn(self, job: Expected) -> bool:
        needed = _NEEDS.get(job.state)
        if not job.number or job.is_sample or needed is None:
            return True
        return self.jobs[f"{job.session_id}-{job.number - 1}"].state in needed

    def ready_proofs(self, queue: JobQueue, now_ms: int) -> list[str]:
        mine = [job for job in self.jobs.values() if job.queue is queue]
        ready = [job for job in mine if job.is_unproven() and job.is_ready(now_ms)]
        return [job.id for job in sorted(ready, key=lambda job: job.urgency(None))]

    def ready_steps(self, now_ms: int) -> set[tuple[str, JobState]]:
        return {
            (job.id, job.state)
            for job in self.jobs.values()
            if self.may_be_stepped(job, now_ms)
            and (job.number is not None or not self._waits_for_proofs(job.session_id))
        }

    def _waits_for_proofs(self, session_id: int) -> bool:
        states = {
            job.state
            for job in self.jobs.values()
            if job.session_id == session_id and job.kind is JobKind.CHECKPOINT
        }
        return not states <= OVER and FAILED not in states
