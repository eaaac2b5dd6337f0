"""Jobs as values."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import PlatformlessError
from ...protocol.digests import ProofHash, TraceRoot
from ...protocol.transcript import Tokens
from .job_states import JobKind, JobQueue, JobState

_SETTLEMENT_SUFFIX = "-settlement"
_SAMPLE_SUFFIX = "-sample"


def checkpoint_job(session_id: int, number: int) -> str:
    """Id of the job of a checkpoint."""
    return f"{session_id}-{number}"


def sample_job(session_id: int, number: int) -> str:
    """Id of the job of a checkpoint's sampled cells."""
    return f"{checkpoint_job(session_id, number)}{_SAMPLE_SUFFIX}"


def settlement_job(session_id: int) -> str:
    """Id of the job that settles a session."""
    return f"{session_id}{_SETTLEMENT_SUFFIX}"


def kind_of(job_id: str) -> JobKind:
    """What a job is, by its id."""
    if job_id.endswith(_SETTLEMENT_SUFFIX):
        return JobKind.SETTLEMENT
    return JobKind.SAMPLE if job_id.endswith(_SAMPLE_SUFFIX) else JobKind.CHECKPOINT


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a job is not done: an error's code and text."""

    code: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        if isinstance(error, PlatformlessError):
            return cls(error.code, str(error).removeprefix(f"{error.code} "))
        return cls("PLA-000", f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class ProofProgress:
    """How much of a proof is done. Cycles are padded ones."""

    cycles_done: int = 0
    cycles_total: int = 0
    segments_done: int = 0
    segments_total: int = 0
    expected_ms: int | None = None
    """How long the whole proof takes by what is known of the device."""

    def fraction(self, elapsed_ms: int) -> float:
        """From 0 to 1. A segment under way counts by the time that it should take."""
        if not self.cycles_total:
            return 0.0
        told = self.cycles_done / self.cycles_total
        if not self.expected_ms or self.segments_done >= self.segments_total:
            return told
        end_of_segment = (self.segments_done + 1) / self.segments_total
        return max(told, min(elapsed_ms / self.expected_ms, 0.98 * end_of_segment))


@dataclass(frozen=True, slots=True)
class Job:
    """A job as last read. Times are Unix milliseconds."""

    id: str
    kind: JobKind
    session_id: int
    number: int
    """Of the checkpoint, also for its sample; 0 for a settlement."""
    queue: JobQueue
    state: JobState
    tokens: Tokens
    due_at: int
    """Unix seconds: from then on the session may be ended on chain without this proof; a sample
    is not waited for by the chain, and is due a day after its checkpoint was confirmed."""
    created_ms: int
    changed_ms: int
    starts: int
    """How often its proof was begun; a worker that was told to stop does not count."""
    failures: int
    """In a row, in this state."""
    not_before_ms: int
    owner: str | None
    """Who works on it."""
    fence: int
    """Of the newest lease."""
    lease_until_ms: int
    began_ms: int
    """When the newest lease was given."""
    device: str | None
    """Of the newest attempt of its proof."""
    cpu_next: bool
    """Whether a worker with a GPU was lost with it, and a CPU is to try, or is trying."""
    late_for: str | None
    """The devices that would not finish it before it is due, with spaces between."""
    failed_from: JobState | None
    problem: Problem | None
    """The newest one."""
    progress: ProofProgress

    def is_late_for(self, device: str) -> bool:
        """Whether this device would not finish it before it is due, as it said."""
        return device in (self.late_for or "").split()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job until `until_ms`, unless somebody has a higher fence."""

    job: Job
    owner: str
    fence: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Worker:
    """Who asks for proofs to build."""

    owner: str
    device: str
    """`cpu` or `cuda`."""
    has_cpu: bool
    """Whether it can prove on its CPU as well."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A proof that was built, with what it took."""

    proof_hash: ProofHash
    size_bytes: int
    bundle: bytes | None
    """None once it is no longer kept here."""
    device: str
    receipt_kind: str
    total_cycles: int
    segments: int
    prove_ms: int
    peak_memory_bytes: int
    trace_root: TraceRoot | None = None
    """Of a checkpoint: the trace that its claim commits to; None for one that was not traced."""
    trace_problem: Problem | None = None
    """Why there is no trace although there should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What is known of a job's publication and transaction. Amounts are decimal digits of the
    token's smallest unit."""

    proof_cid: str | None = None
    delta_cid: str | None = None
    index_cid: str | None = None
    transaction_hash: str | None = None
    block_number: int | None = None
    fee_wei: str | None = None
    host_earned: str | None = None
    refunded: str | None = None
    token: str | None = None
    outcome: str | None = None
    """How a session ended, when not by this settlement; of a sample, that it was not drawn."""
    confirmed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A piece of work on a job."""

    fence: int
    step: str
    owner: str
    device: str | None
    started_ms: int
    ended_ms: int | None
    outcome: str | None
    """done, released, refused, failed or lost; None while it is under way."""
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs there are, and when the oldest unfinished one that payment waits for was
    made."""

    by_state: dict[tuple[JobKind, JobState], int]
    oldest_open_ms: int | None
