"""The states of a job, and which may follow which. Nothing else decides that."""

from __future__ import annotations

import enum

from .errors import TransitionRefused


class JobKind(enum.Enum):
    """What a job brings to its end."""

    CHECKPOINT = "checkpoint"  # a checkpoint, from cut to confirmed proof
    SAMPLE = "sample"  # a confirmed checkpoint's sampled cells, from the beacon to publication
    SETTLEMENT = "settlement"  # a session, from its end to money paid out


PROOF_KINDS = (JobKind.CHECKPOINT, JobKind.SAMPLE)
"""What a prover builds."""


class JobQueue(enum.Enum):
    """Where workers wait for a job's first step. What needs the host's key comes by SETTLEMENT."""

    LIVE = "live"  # proofs that a session's payment waits for
    AUDIT = "audit"  # sample proofs
    AGGREGATE = "aggregate"  # proofs of whole sessions
    SETTLEMENT = "settlement"  # publishing, submitting, settling


PROOF_QUEUES = (JobQueue.LIVE, JobQueue.AUDIT, JobQueue.AGGREGATE)


class JobState(enum.Enum):
    """How far a job is. A job that is being worked on has a lease besides."""

    RECORDED = "recorded"  # cut, or asked for
    PROVING = "proving"  # a worker has begun the proof; without a lease, that worker was lost
    PROVEN = "proven"  # the bundle is in the ledger, verified
    PUBLISHED = "published"  # bundle, delta and index are in storage
    SUBMITTED = "submitted"  # the transaction is signed and in the outbox
    CONFIRMED = "confirmed"  # final on chain, and read back from there; of a sample, published
    FAILED = "failed"  # given up, with a code; an operator may have it tried again


OVER = frozenset({JobState.CONFIRMED, JobState.FAILED})
"""Nothing more happens by itself."""
OPEN = tuple(state for state in JobState if state not in OVER)

_S = JobState
TRANSITIONS: dict[JobKind, dict[JobState, frozenset[JobState]]] = {
    JobKind.CHECKPOINT: {
        _S.RECORDED: frozenset({_S.PROVING, _S.FAILED}),
        _S.PROVING: frozenset({_S.PROVING, _S.RECORDED, _S.PROVEN, _S.FAILED}),
        _S.PROVEN: frozenset({_S.PUBLISHED, _S.FAILED}),
        _S.PUBLISHED: frozenset({_S.SUBMITTED, _S.CONFIRMED, _S.FAILED}),
        _S.SUBMITTED: frozenset({_S.CONFIRMED, _S.FAILED}),
        _S.CONFIRMED: frozenset(),
        _S.FAILED: frozenset({_S.RECORDED, _S.PROVEN, _S.PUBLISHED, _S.SUBMITTED}),
    },
    JobKind.SAMPLE: {
        _S.RECORDED: frozenset({_S.PROVING, _S.FAILED}),
        # Confirmed at once: a checkpoint that the beacon did not draw.
        _S.PROVING: frozenset({_S.PROVING, _S.RECORDED, _S.PROVEN, _S.CONFIRMED, _S.FAILED}),
        # Recorded again: the beacon's block is another one after all.
        _S.PROVEN: frozenset({_S.RECORDED, _S.CONFIRMED, _S.FAILED}),
        _S.CONFIRMED: frozenset(),
        _S.FAILED: frozenset({_S.RECORDED, _S.PROVEN}),
    },
    JobKind.SETTLEMENT: {
        _S.RECORDED: frozenset({_S.SUBMITTED, _S.CONFIRMED, _S.FAILED}),
        _S.SUBMITTED: frozenset({_S.CONFIRMED, _S.FAILED}),
        _S.CONFIRMED: frozenset(),
        _S.FAILED: frozenset({_S.RECORDED, _S.SUBMITTED}),
    },
}


def require_transition(job_id: str, kind: JobKind, state: JobState, new: JobState) -> None:
    """Raises:
    TransitionRefused: when a job of this kind cannot go from `state` to `new`.
    """
    allowed = TRANSITIONS[kind].get(state, frozenset())
    if new not in allowed:
        raise TransitionRefused(
            f"job {job_id} cannot become {new.value}",
            expected=f"after {state.value}: "
            + (", ".join(sorted(s.value for s in allowed)) or "-"),
            got=new.value,
        )


def retried_as(kind: JobKind, failed_from: JobState) -> JobState:
    """Where a job that failed in a state begins again: what is done stays done."""
    restarted = JobState.RECORDED if failed_from is JobState.PROVING else failed_from
    require_transition("", kind, JobState.FAILED, restarted)
    return restarted
