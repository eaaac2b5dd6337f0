"""Errors of the pipeline: why a job is given up, or waits.

PipelineError               PIP-000
├── DeadlineTooNear         PIP-001   this device would not finish the proof before it is due
├── EarlierProofFailed      PIP-002   an earlier checkpoint of the session has no proof
├── NotAsSubmitted          PIP-003   the chain has another proof than was sent
├── BundleMissing           PIP-004   the proof's bytes are nowhere any more
├── ProofsUnfinished        PIP-005   a session that waits for its proofs
├── TransactionsSpent       PIP-006   the same transaction reverted again and again
├── LedgerBehindChain       PIP-007   the chain has other proofs of these tokens: an old ledger
├── ForeignModel            PIP-008   the model that this worker traces is not the session's
├── TraceTooLate            PIP-009   the proof would be late if its checkpoint were traced
├── ContextTooLong          PIP-010   more tokens than a proof of sampled cells can be of
├── BeaconNotThere          PIP-011   the block that draws cells is not final yet
├── ForeignSample           PIP-012   the sample proof is of another checkpoint than was published
└── TraceNotRisked          PIP-013   the proof was begun in vain before: no trace is tried again
"""

from __future__ import annotations

from ...errors import PlatformlessError


class PipelineError(PlatformlessError):
    """A job cannot go on."""

    code = "PIP-000"


class DeadlineTooNear(PipelineError):
    code = "PIP-001"
    advice = "use a faster prover, or sessions with a longer proof timeout"


class EarlierProofFailed(PipelineError):
    code = "PIP-002"
    advice = "`fabstir-llm-node jobs retry` the earlier checkpoint"


class NotAsSubmitted(PipelineError):
    code = "PIP-003"
    advice = "check the RPC endpoint and the marketplace's address"


class BundleMissing(PipelineError):
    code = "PIP-004"


class ProofsUnfinished(PipelineError):
    """`wait_until`: Unix seconds, when the session is looked at again."""

    code = "PIP-005"

    def __init__(self, message: str, *, wait_until: int) -> None:
        super().__init__(message, expected="confirmed proofs, or a retry of what failed")
        self.wait_until = wait_until


class TransactionsSpent(PipelineError):
    code = "PIP-006"


class ForeignModel(PipelineError):
    code = "PIP-008"
    advice = "give this worker the model file that the node serves (MODEL_PATH)"


class TraceTooLate(PipelineError):
    """The accounting proof, that payment waits for, goes before."""

    code = "PIP-009"
    advice = "trace on a faster machine, or with fewer tokens in a context"


class TraceNotRisked(PipelineError):
    """Something ends the worker, and it may be the trace."""

    code = "PIP-013"
    advice = "look in the worker's log for what ended it"


class ContextTooLong(PipelineError):
    code = "PIP-010"


class BeaconNotThere(PipelineError):
    """`wait_until`: Unix seconds, when the chain is asked again."""

    code = "PIP-011"

    def __init__(self, message: str, *, wait_until: int) -> None:
        super().__init__(message, expected="its block, with blocks behind it")
        self.wait_until = wait_until


class ForeignSample(PipelineError):
    code = "PIP-012"


class LedgerBehindChain(PipelineError):
    """What the chain has was billed; billing it again would be fraud."""

    code = "PIP-007"
    advice = "nothing: the session is settled by what the chain has"
