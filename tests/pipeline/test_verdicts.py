"""What becomes of a job whose step failed, and who is rung for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from platformless.audit.errors import MalformedBundle
from platformless.chain.errors import (
    ChainMoved,
    ContractRefused,
    EndpointsUnavailable,
    FeesAboveCap,
    InsufficientFunds,
    NotConfirmedYet,
    OutboxKeyReused,
    RpcRefused,
    TransactionReverted,
    UnknownSession,
)
from platformless.chain.refusals import (
    ClaimsTooFast,
    ContractPaused,
    DepositExceeded,
    DisputeWindowOpen,
    SessionNotActive,
)
from platformless.engine.trace.errors import TraceNotRepeated
from platformless.protocol.transcript import Tokens
from platformless.prover.broker.doorbell import Actor, actor_for, queue_name
from platformless.prover.errors import DeadlineExceeded, ProverCrashed, ProverRefused, WrongClaim
from platformless.prover.ledger.errors import (
    LedgerDamaged,
    LedgerSealBroken,
    NotInLedger,
)
from platformless.prover.ledger.job_states import OVER, JobKind, JobQueue, JobState
from platformless.prover.ledger.job_values import Job, ProofProgress
from platformless.prover.pipeline.errors import (
    BeaconNotThere,
    BundleMissing,
    ContextTooLong,
    ForeignModel,
    ForeignSample,
    NotAsSubmitted,
    ProofsUnfinished,
    TransactionsSpent,
)
from platformless.prover.pipeline.rules import PipelineRules
from platformless.prover.pipeline.verdicts import GiveUp, TryAgain, judge
from platformless.storage.errors import (
    NotAuthorised,
    NotReplicated,
    PublicationBusy,
    PublicationConflict,
)

RULES = PipelineRules()
NOW = 1_700_000_000
JOB = Job(
    id="7-0",
    kind=JobKind.CHECKPOINT,
    session_id=7,
    number=0,
    queue=JobQueue.LIVE,
    state=JobState.PROVING,
    tokens=Tokens(100),
    due_at=NOW + 300,
    created_ms=0,
    changed_ms=0,
    starts=1,
    failures=0,
    not_before_ms=0,
    owner="me",
    fence=1,
    lease_until_ms=0,
    began_ms=0,
    device="cuda",
    cpu_next=False,
    late_for=None,
    failed_from=None,
    problem=None,
    progress=ProofProgress(),
)
OFTEN = replace(JOB, failures=1000)


def verdict(error: Exception, job: Job = JOB) -> TryAgain | GiveUp:
    return judge(error, job, RULES, NOW * 1000)


HOPELESS = [
    MalformedBundle("no bundle"),
    LedgerDamaged("rows that do not add up"),
    LedgerSealBroken("another key"),
    NotInLedger("no such checkpoint"),
    PublicationConflict("published before"),
    BundleMissing("nowhere"),
    NotAsSubmitted("another proof"),
    TransactionsSpent("reverts"),
    ForeignSample("another trace"),
    ProverRefused("STP-001", "no such guest"),
    SessionNotActive("over"),
    DepositExceeded("too many tokens"),
    OutboxKeyReused("another transaction"),
    TransactionReverted("mined", refusal=None, got="?"),
]
FOR_EVER = [
    ProverCrashed("killed"),
    DeadlineExceeded("too slow"),
    ProverRefused("STP-003", "no memory"),
    NotAuthorised("no token"),
    NotReplicated("nowhere", expected=1, stored=(), faults=()),
    PublicationBusy("elsewhere"),
    EndpointsUnavailable("down"),
    InsufficientFunds("no money"),
    FeesAboveCap("dear"),
    NotConfirmedYet("under way"),
    ContractPaused("paused"),
    OSError(28, "No space left on device"),
    TimeoutError("slow"),
    RpcRefused("header not found", rpc_code=-32000),
    UnknownSession("not known to this endpoint"),
    ChainMoved("behind"),
]
A_LONG_TIME = [
    WrongClaim("another claim"),
    ForeignModel("another model"),
    ContextTooLong("too many tokens"),
    TraceNotRepeated("another trace"),
]
A_FEW_TIMES = [
    ContractRefused("no reason given"),
    ZeroDivisionError("nobody foresaw this"),
    AssertionError("nor this"),
]


@pytest.mark.parametrize("error", HOPELESS, ids=repr)
def test_what_would_fail_the_same_again_is_given_up(error: Exception) -> None:
    assert verdict(error) == GiveUp()


@pytest.mark.parametrize("error", FOR_EVER, ids=repr)
def test_what_others_must_put_right_is_waited_for_for_ever(error: Exception) -> None:
    for job in (JOB, OFTEN):
        found = verdict(error, job)
        assert isinstance(found, TryAgain)
        assert 0 < found.rest_ms <= RULES.backoff.longest_seconds * 1000


@pytest.mark.parametrize(
    ("error", "most"),
    [(error, 4 * RULES.most_failures + 1) for error in A_LONG_TIME]
    + [(error, RULES.most_failures) for error in A_FEW_TIMES],
    ids=repr,
)
def test_what_may_pass_is_tried_a_number_of_times(error: Exception, most: int) -> None:
    assert isinstance(verdict(error, replace(JOB, failures=most - 2)), TryAgain)
    assert verdict(error, replace(JOB, failures=most - 1)) == GiveUp()


@pytest.mark.parametrize(
    "make",
    [
        lambda at: ClaimsTooFast("rate", wait_until=at),
        lambda at: DisputeWindowOpen("window", wait_until=at),
        lambda at: ProofsUnfinished("no proof", wait_until=at),
        lambda at: BeaconNotThere("no block", wait_until=at),
    ],
)
def test_a_time_that_is_known_is_waited_for(make: Callable[[int], Exception]) -> None:
    for wait_until, rest_ms in ((NOW + 30, 30_000), (NOW - 30, 1_000), (NOW + 10**6, 3_600_000)):
        assert verdict(make(wait_until), OFTEN) == TryAgain(rest_ms, is_foreseen=True)


def test_a_proof_is_not_begun_in_vain_because_the_chain_is_away() -> None:
    """A sample's proof begins with its beacon: a start that ends there does not count."""
    away = EndpointsUnavailable("down")
    for state in JobState:
        for error in (away, RpcRefused("busy", rpc_code=-32603), UnknownSession("not yet here")):
            found = verdict(error, replace(JOB, kind=JobKind.SAMPLE, state=state))
            assert isinstance(found, TryAgain)
            assert found.is_foreseen
            assert found.rest_ms >= RULES.chain_rest_seconds * 1000
        assert verdict(away, replace(JOB, state=state)) != found


def test_a_device_that_broke_down_is_not_the_next() -> None:
    broken = [ProverCrashed("driver"), DeadlineExceeded("hung"), ProverRefused("STP-013", "lost")]
    for error in broken:
        for device, cpu_next in (("cuda", True), ("cpu", False), (None, False)):
            found = verdict(error, replace(JOB, device=device))
            assert isinstance(found, TryAgain)
            assert found.cpu_next is cpu_next
    other = verdict(EndpointsUnavailable("down"))
    assert isinstance(other, TryAgain)
    assert not other.cpu_next


def test_rests_grow() -> None:
    rests = []
    for failures in (0, 3, 6):
        found = verdict(ProverCrashed("again"), replace(JOB, failures=failures))
        assert isinstance(found, TryAgain)
        rests.append(found.rest_ms)
    assert rests == sorted(rests)


def test_whose_turn_it_is_follows_from_the_state() -> None:
    expected = {
        JobState.RECORDED: Actor.PROVE,
        JobState.PROVING: Actor.PROVE,
        JobState.PROVEN: Actor.PUBLISH,
        JobState.PUBLISHED: Actor.SUBMIT,
        JobState.SUBMITTED: Actor.SUBMIT,
    }
    assert set(expected) == set(JobState) - OVER
    for state, actor in expected.items():
        assert actor_for(JobKind.CHECKPOINT, state) is actor
        assert actor_for(JobKind.SETTLEMENT, state) is Actor.SETTLE
    for state in (JobState.RECORDED, JobState.PROVING):
        assert actor_for(JobKind.SAMPLE, state) is Actor.SAMPLE
    assert actor_for(JobKind.SAMPLE, JobState.PROVEN) is Actor.PUBLISH_SAMPLE


def test_chains_that_share_a_broker_have_queues_of_their_own() -> None:
    names = {queue_name(chain, queue) for chain in ("1:a", "1:b") for queue in JobQueue}
    assert len(names) == 2 * len(JobQueue)
    assert queue_name("1:a", JobQueue.LIVE) == queue_name("1:a", JobQueue.LIVE)
    assert all(name.replace(".", "").isalnum() and name[0] == "c" for name in names)
