"""What becomes of a job whose step failed."""

from __future__ import annotations

from dataclasses import dataclass

from ...audit.errors import Rejection
from ...chain.errors import (
    ChainError,
    ContractRefused,
    Disposition,
    OutboxKeyReused,
    TransactionReverted,
)
from ...errors import PlatformlessError
from ...protocol.host_key import KeyUnavailable
from ...storage.errors import PublicationConflict, StorageError
from ..errors import DeadlineExceeded, ProverCrashed, ProverRefused
from ..ledger.errors import LedgerDamaged, LedgerSealBroken, NotInLedger
from ..ledger.job_states import JobKind
from ..ledger.job_values import Job
from .errors import (
    BeaconNotThere,
    BundleMissing,
    ForeignSample,
    LedgerBehindChain,
    NotAsSubmitted,
    ProofsUnfinished,
    TransactionsSpent,
)
from .rules import PipelineRules

_PASSING_PROVER_CODES = frozenset({"STP-003", "STP-013", "STP-014", "STP-018"})
"""Of stark-prover's refusals, those that another attempt may not meet."""
_HOPELESS = (
    Rejection,
    LedgerDamaged,
    LedgerSealBroken,
    NotInLedger,
    PublicationConflict,
    BundleMissing,
    NotAsSubmitted,
    TransactionsSpent,
    LedgerBehindChain,
    ForeignSample,
)
_SHORTEST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    rest_ms: int
    cpu_next: bool = False
    """A device that broke down is not asked at once again."""
    is_foreseen: bool = False
    """It is not a failure of the job's: the time had not come, or the chain could not be asked."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


Verdict = TryAgain | GiveUp


def judge(error: Exception, job: Job, rules: PipelineRules, now_ms: int) -> Verdict:
    """Pure. A failure of something else than the job may be met for ever: the portal's, the
    chain's, the database's, the disk's. One that nobody foresaw is met a few times."""
    rest_ms = round(rules.backoff.rest_seconds(job.failures + 1) * 1000)
    if isinstance(error, _HOPELESS):
        return GiveUp()
    if isinstance(error, ProverRefused):
        if error.prover_code not in _PASSING_PROVER_CODES:
            return GiveUp()
        return TryAgain(rest_ms, job.device == "cuda")
    if isinstance(error, ProverCrashed | DeadlineExceeded):
        return TryAgain(rest_ms, job.device == "cuda")
    if (
        isinstance(error, ContractRefused | ProofsUnfinished | BeaconNotThere)
        and error.wait_until is not None
    ):
        wait_seconds = error.wait_until - now_ms / 1000
        wait_seconds = min(max(wait_seconds, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
        return TryAgain(round(wait_seconds * 1000), is_foreseen=True)
    if isinstance(error, StorageError | KeyUnavailable | OSError):
        return TryAgain(rest_ms)
    if isinstance(error, ChainError) and job.kind is JobKind.SAMPLE:
        # It asks for its beacon, and sends nothing: whatever the endpoint answers may pass.
        rest_ms = max(rest_ms, round(rules.chain_rest_seconds * 1000))
        return TryAgain(rest_ms, is_foreseen=True)
    if _is_the_contracts_last_word(error):
        return GiveUp()
    if isinstance(error, ChainError) and type(error) is not ContractRefused:
        return TryAgain(rest_ms)
    if isinstance(error, PlatformlessError) and not _cost_gas(error):
        return TryAgain(rest_ms) if job.failures < 4 * rules.most_failures else GiveUp()
    return TryAgain(rest_ms) if job.failures + 1 < rules.most_failures else GiveUp()


def _is_the_contracts_last_word(error: Exception) -> bool:
    """A refusal whose rule is not known may pass; what the RPC endpoint gets wrong is not the
    job's fault: nor that it does not know a session, of which the ledger has jobs because the chain
    had it once."""
    if isinstance(error, ContractRefused):
        return type(error) is not ContractRefused and error.disposition is Disposition.PERMANENT
    return isinstance(error, TransactionReverted | OutboxKeyReused)


def _cost_gas(error: Exception) -> bool:
    """Whether a transaction may have been mined in vain."""
    return type(error) is ContractRefused
