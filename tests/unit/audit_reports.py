"""Reports built by hand: what an audit may end in, without a chain, a portal or a model."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import replace

from platformless.audit.errors import KeyNeeded, NothingPublished
from platformless.audit.evidence import CheckpointEvidence
from platformless.audit.places import CheckpointOnChain
from platformless.audit.replay.calibration import SamplerClass, released_calibration
from platformless.audit.replay.checks import Agreement, TextCheck
from platformless.audit.replay.modes import ReplayMode
from platformless.audit.replay.report import ModelFile, ReplayReport, TokenTable
from platformless.audit.replay.verdict import Outcome, judge_statistical
from platformless.audit.sample import SampleReport, sample_coverage
from platformless.audit.sample_expected import Unchecked
from platformless.audit.session.coverage import coverage_of
from platformless.audit.session.findings import Finding, Severity, worst_first
from platformless.audit.session.payments import Payment
from platformless.audit.session.report import AuditReport, CheckpointAudit, TokenTotals
from platformless.audit.session.sample_states import CheckpointSample, SampleState
from platformless.audit.session.session_policy import AuditPolicy, Shown
from platformless.audit.session.transcript_check import TranscriptCheck
from platformless.audit.verify import ZKVM, VerificationReport
from platformless.audit.whole_session import AggregateReport
from platformless.chain.connection import Block
from platformless.chain.events import Place, ProofSubmitted
from platformless.chain.money import Amount, Price, Token
from platformless.chain.session import ProofRecord, Session, SessionStatus
from platformless.errors import PlatformlessError
from platformless.protocol.aggregate import AGGREGATE_COVERAGE, AggregateClaim
from platformless.protocol.assurance import ACCOUNTING_COVERAGE, Assurance
from platformless.protocol.claim import SessionClaim
from platformless.protocol.delta import Delta
from platformless.protocol.digests import (
    Address,
    DeltaDigest,
    HeaderDigest,
    ImageId,
    ModelId,
    ProofHash,
    Salt,
    StateDigest,
    TraceRoot,
    WeightsRoot,
)
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.terms import SessionTerms
from platformless.protocol.transcript import Tokens

from ..sampled_cells import claim_of

USDC = Token(Address(b"\x11" * 20), "USDC", 6)
HOST, CLIENT, MARKETPLACE = (Address(bytes([fill]) * 20) for fill in (0x22, 0x33, 0x44))
MODEL = ModelId(b"\x55" * 32)
IMAGE = ImageId(b"\x66" * 32)
PRICE = Price(1_500_000, USDC)
DEPOSIT = Amount(40_000_000, USDC)
STARTED = 1_760_000_000
CHAIN_ID, SESSION_ID = 84532, 42
TOKENS = Tokens(1_000)
"""Of a checkpoint."""
SECONDS = 120
"""Between two checkpoints."""

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title></svg></table><iframe src=https://evil.example>",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;",
    "\u202egnp.exe\u202c\u2066\u200f\u061c",
    "\x1b[2J\x1b]0;owned\x07\x00\x08\x9b31m",
    "[bold red]accepted[/] \\[/] [/nothing] :skull: [link=https://evil.example]x[/link]",
    "\ud800 lone, \ufeff\u2028\u2029\U000e0001",
)
"""What a host or a node may write where it may write text."""
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that do something to a terminal or to the direction of writing."""


def checkpoint(
    number: int,
    *,
    proven: bool = True,
    delta: str = "read",
    acknowledged: bool = True,
    sample: SampleState = SampleState.UNTRACED,
) -> CheckpointAudit:
    """One checkpoint of `TOKENS`; `delta` is read, sealed or missing."""
    before = Tokens(number * TOKENS)
    time = STARTED + (number + 1) * SECONDS
    proof_hash = ProofHash(number.to_bytes(32, "big"))
    event = ProofSubmitted(
        Place(1_000 + number, 0, f"0x{number:064x}", f"0x{number:064x}"),
        SESSION_ID,
        HOST,
        TOKENS,
        proof_hash,
        f"proof-{number}",
        f"delta-{number}",
    )
    record = ProofRecord(proof_hash, TOKENS, time, True, event.delta_cid)
    problem: PlatformlessError | None = {
        "read": None,
        "sealed": KeyNeeded(f"delta {number} is sealed"),
        "missing": NothingPublished("the chain names no delta"),
    }[delta]
    evidence = CheckpointEvidence(
        CheckpointOnChain(
            number, before, TOKENS, proof_hash, event.delta_cid, event.proof_cid, event, record
        ),
        _delta(number, proof_hash) if delta == "read" else None,
        problem,
        _proof(number, acknowledged) if proven else None,
        None if proven else NothingPublished("the chain names no bundle"),
    )
    return CheckpointAudit(evidence, proven, time, _sample(number, sample) if proven else None)


def report(
    checkpoints: Sequence[CheckpointAudit] = (),
    findings: Sequence[Finding] = (),
    *,
    status: SessionStatus = SessionStatus.COMPLETED,
    whole: AggregateReport | None = None,
    transcript: TranscriptCheck | None = None,
    replay: ReplayReport | None = None,
    policy: AuditPolicy | None = None,
) -> AuditReport:
    """A report whose totals, payment, coverage and assurance follow from what is given."""
    policy = policy or AuditPolicy()
    claimed = Tokens(sum(one.place.tokens for one in checkpoints))
    proven = Tokens(sum(one.place.tokens for one in checkpoints if one.proven))
    signed = [
        one.place.tokens_after
        for one in checkpoints
        if one.evidence.proof is not None and one.evidence.proof.acknowledged_by is not None
    ]
    samples = [one.sample for one in checkpoints if one.sample is not None]
    tokens = TokenTotals(
        claimed,
        proven,
        max(signed, default=Tokens(0)),
        Tokens(sum(one.covered for one in samples)),
        Tokens(sum(one.spared for one in samples)),
    )
    sampled = claimed > 0 and tokens.sampled + tokens.spared >= claimed
    assurance = None
    if proven:
        assurance = Assurance.SAMPLED if sampled else Assurance.ACCOUNTING
        if replay is not None and replay.replayed:
            assurance = Assurance.REPLAYED
    over = status is not SessionStatus.ACTIVE
    shown = Shown(
        tokens.claimed,
        tokens.proven,
        tokens.acknowledged,
        assurance,
        tuple(one.delta_state for one in checkpoints),
        index_checked=True,
        settled=over,
        sampled=sampled,
        sampled_tokens=tokens.sampled,
        spared_tokens=tokens.spared,
        sample_draws=2 if tokens.sampled else 0,
    )
    due = PRICE.cost(claimed)
    fee = Amount(due.units // 10 if over else 0, USDC)
    paid = due - fee if over else Amount(0, USDC)
    refunded = Amount(max(0, DEPOSIT.units - due.units) if over else 0, USDC)
    last = checkpoints[-1].time if checkpoints else None
    session = Session(
        id=SESSION_ID,
        client=CLIENT,
        host=HOST,
        deposit=DEPOSIT,
        price=PRICE,
        tokens_proven=claimed,
        longest_seconds=86_400,
        started_at=STARTED,
        last_proof_at=last or STARTED,
        proof_interval=TOKENS,
        proof_timeout_seconds=300,
        status=status,
        paid_to_host=paid,
        refunded=refunded,
        conversation_cid="",
        last_proof_hash=ProofHash.zero(),
        last_proof_cid="",
    )
    return AuditReport(
        chain_id=CHAIN_ID,
        marketplace=MARKETPLACE,
        session=session,
        model_id=MODEL,
        read_at=Block(9_999, "0x" + "77" * 32, (last or STARTED) + 60, 7),
        checkpoints=tuple(checkpoints),
        whole_session=whole,
        payment=Payment(DEPOSIT, str(PRICE), claimed, due, False, over, paid, refunded, fee),
        transcript=transcript,
        replay=replay,
        tokens=tokens,
        assurance=assurance,
        coverage=coverage_of(shown, transcript, replay, one_in=policy.sample_one_in),
        findings=worst_first(findings),
        policy=policy,
        images=dict(policy.images),
        made_at=(last or STARTED) + 90,
        seconds=1.25,
    )


def accepted(count: int = 3) -> AuditReport:
    """Everything is proven, signed for and paid."""
    return report([checkpoint(number) for number in range(count)])


def rejected() -> AuditReport:
    """Of five checkpoints two are unproven, with findings of every severity."""
    states = ("read", "sealed", "missing", "read", "sealed")
    return report(
        [checkpoint(n, proven=n < 3, delta=state) for n, state in enumerate(states)],
        [
            Finding("AUD-602", Severity.ERROR, "tokens were billed that no accepted proof covers"),
            Finding("VER-402", Severity.ERROR, "the proof does not hold", "a proof", "noise", 3),
            Finding("RCV-008", Severity.ERROR, "the claim joins nothing", checkpoint=4),
            Finding("STO-103", Severity.WARNING, "no portal has the file", "a delta", None, 2),
            Finding("AUD-501", Severity.NOTE, "delta 1 is sealed", checkpoint=1),
        ],
    )


def active() -> AuditReport:
    """The session goes on: nothing is paid."""
    note = Finding("AUD-503", Severity.NOTE, "the session goes on", got="active")
    return report([checkpoint(0), checkpoint(1)], [note], status=SessionStatus.ACTIVE)


def without_proofs() -> AuditReport:
    """Nothing was billed."""
    return report(status=SessionStatus.TIMED_OUT)


def many(count: int = 10_000) -> AuditReport:
    """A long session; every 100th checkpoint is unproven."""
    return report(
        [checkpoint(number, proven=number % 100 != 99) for number in range(count)],
        [
            Finding("STO-103", Severity.WARNING, "no portal has the bundle", checkpoint=number)
            for number in range(99, count, 100)
        ],
    )


def replayed(margins: Sequence[float]) -> AuditReport:
    """One checkpoint, replayed statistically with these margins."""
    replay, findings = replay_of(margins), []
    if replay.verdict.outcome is Outcome.REJECTED:
        findings = [Finding("AUD-411", Severity.ERROR, "the tokens are not this model's")]
    received = TranscriptCheck(entries=3, tokens=TOKENS, matched=TOKENS)
    return report([checkpoint(0)], findings, transcript=received, replay=replay)


def sampled() -> AuditReport:
    """Every checkpoint was drawn, and its cells accepted."""
    return report([checkpoint(number, sample=SampleState.ACCEPTED) for number in range(3)])


def partly_sampled() -> AuditReport:
    """One checkpoint in every state that sampled cells may be in; a policy asks for a few."""
    root, facts = WeightsRoot(b"\x88" * 32), ModelFactsDigest(b"\x99" * 32)
    policy = AuditPolicy(sample_one_in=4, sample_draws=2, models={root: facts})
    return report(
        [checkpoint(number, sample=state) for number, state in enumerate(SampleState)],
        [
            Finding("VER-805", Severity.ERROR, "another beacon", "one", "another", 4),
            Finding("AUD-341", Severity.WARNING, "sampled cells are not shown", checkpoint=3),
            Finding("AUD-342", Severity.NOTE, "the cells are not drawn yet", checkpoint=1),
        ],
        policy=policy,
    )


def in_one_proof(count: int = 3) -> AuditReport:
    """One proof stands for all checkpoints; their own bundles were not looked at."""
    bare = [checkpoint(number, proven=False) for number in range(count)]
    parts = [
        replace(one, proven=True, evidence=replace(one.evidence, proof_problem=None))
        for one in bare
    ]
    note = Finding("AUD-502", Severity.NOTE, "one proof stands for all checkpoints")
    return report(parts, [note], whole=_whole(count))


def hostile() -> AuditReport:
    """Wherever a host or a node may write text, it writes something that is more than text."""
    text = " ".join(HOSTILE)
    honest = checkpoint(0, proven=False, delta="missing")
    place, event = honest.evidence.place, honest.evidence.place.event
    assert event is not None
    event = replace(event, place=replace(event.place, transaction_hash=text))
    place = replace(place, delta_cid=text, proof_cid=text, event=event)
    proof = replace(_proof(0, False), receipt_kind=text, zkvm=text)
    evidence = replace(honest.evidence, place=place, proof=proof)
    findings = [
        Finding("AUD-304", severity, one, one, one, 0) for severity in Severity for one in HOSTILE
    ]
    replay = replay_of([0.0, 0.5])
    replay = replace(
        replay,
        mode_reason=f"the host runs {text}, this is another",
        model=replace(replay.model, name=text),
        verdict=replace(replay.verdict, thresholds=text),
    )
    made = report([replace(honest, evidence=evidence)], findings, replay=replay)
    return replace(
        made,
        read_at=replace(made.read_at, hash=text),
        payment=replace(made.payment, price=text),
        whole_session=replace(_whole(1), receipt_kind=text, zkvm=text),
    )


def absurd() -> AuditReport:
    """Numbers that no honest node tells: the largest that the contract's words can hold."""
    most = 2**256 - 1
    made = accepted(1)
    only = made.checkpoints[0]
    place = replace(only.place, tokens=Tokens(most))
    session = replace(
        made.session,
        id=most,
        started_at=most,
        last_proof_at=most,
        deposit=Amount(most, USDC),
        tokens_proven=Tokens(most),
    )
    return replace(
        made,
        session=session,
        read_at=replace(made.read_at, number=most, timestamp=most),
        checkpoints=(
            CheckpointAudit(replace(only.evidence, place=place), True, most),
            CheckpointAudit(replace(only.evidence, place=place), False, None),
        ),
        payment=replace(made.payment, deposit=Amount(most, USDC), paid_to_host=Amount(most, USDC)),
        tokens=TokenTotals(Tokens(2 * most), Tokens(most), Tokens(most)),
    )


def replay_of(margins: Sequence[float]) -> ReplayReport:
    """A statistical replay of one answer; the margins decide on the verdict."""
    count = len(margins)
    table = TokenTable(
        entry=array("I", [1] * count),
        index=array("I", range(count)),
        position=array("Q", range(10, 10 + count)),
        token=array("I", range(count)),
        chosen=array("I", (row + (margin > 0) for row, margin in enumerate(margins))),
        margin=array("d", margins),
    )
    classes = [SamplerClass.GREEDY] * count
    verdict = judge_statistical(margins, classes, released_calibration())
    root = WeightsRoot(b"\x88" * 32)
    return ReplayReport(
        mode=ReplayMode.STATISTICAL,
        mode_reason="the host has all layers on a GPU",
        build="llama-cpp-python 1.2.3, system 00000000",
        model=ModelFile("model.gguf", b"\x99" * 32, root, root),
        tokens=table,
        prompts=(TextCheck(0, Agreement.SAME, "the model's chat template"),),
        answers=(TextCheck(1, Agreement.DIFFERENT, "its tokens", 7, "a", "b"),),
        cut_answers=(1,),
        context_tokens=count + 10,
        seconds=2.0,
        verdict=verdict,
        findings=(),
    )


def _sample(number: int, state: SampleState) -> CheckpointSample:
    if state is SampleState.NOT_DRAWN:
        return CheckpointSample(state).sparing(TOKENS)
    if state is SampleState.ACCEPTED:
        return CheckpointSample(state, TOKENS, report=_sampled(number, (Unchecked.CONTEXT,)))
    if state is SampleState.UNCHECKED_FACTS:
        return CheckpointSample(state, report=_sampled(number, (Unchecked.FACTS,)))
    return CheckpointSample(state)


def _sampled(number: int, unchecked: tuple[Unchecked, ...]) -> SampleReport:
    return SampleReport(
        proof_hash=ProofHash(b"\xdd" * 32),
        assurance=Assurance.SAMPLED,
        coverage=sample_coverage(unchecked),
        image_id=IMAGE,
        receipt_kind="composite",
        zkvm=ZKVM,
        bundle_bytes=345_678,
        acknowledged_by=None,
        steps=(),
        fuel=0,
        verifier_memory_bytes=0,
        claim=claim_of(replace(_claim(number), trace_root=TraceRoot(b"\xee" * 32))),
        unchecked=unchecked,
    )


def _delta(number: int, proof_hash: ProofHash) -> Delta:
    before = Tokens(number * TOKENS)
    after = Tokens(before + TOKENS)
    return Delta(SESSION_ID, number, proof_hash, before, after, Salt.zero(), ())


def _proof(number: int, acknowledged: bool) -> VerificationReport:
    return VerificationReport(
        proof_hash=ProofHash(number.to_bytes(32, "big")),
        assurance=Assurance.ACCOUNTING,
        coverage=ACCOUNTING_COVERAGE,
        image_id=IMAGE,
        receipt_kind="composite",
        zkvm=ZKVM,
        bundle_bytes=234_567,
        acknowledged_by=CLIENT if acknowledged else None,
        steps=(),
        fuel=0,
        verifier_memory_bytes=0,
        claim=_claim(number),
    )


def _claim(number: int) -> SessionClaim:
    return SessionClaim(
        header_digest=HeaderDigest(b"\xaa" * 32),
        terms=SessionTerms(
            CHAIN_ID,
            MARKETPLACE,
            SESSION_ID,
            HOST,
            CLIENT,
            MODEL,
            WeightsRoot.zero(),
            PRICE.per_thousand_tokens,
        ),
        checkpoint=number,
        tokens_before=Tokens(number * TOKENS),
        tokens_after=Tokens((number + 1) * TOKENS),
        state_before=StateDigest(number.to_bytes(32, "big")),
        state_after=StateDigest((number + 1).to_bytes(32, "big")),
        delta_digest=DeltaDigest(b"\xbb" * 32),
        trace_root=TraceRoot.zero(),
    )


def _whole(count: int) -> AggregateReport:
    return AggregateReport(
        proof_hash=ProofHash(b"\xcc" * 32),
        assurance=Assurance.ACCOUNTING,
        coverage=AGGREGATE_COVERAGE,
        image_id=IMAGE,
        receipt_kind="succinct",
        zkvm=ZKVM,
        bundle_bytes=345_678,
        acknowledged_by=CLIENT,
        steps=(),
        fuel=0,
        verifier_memory_bytes=0,
        claim=AggregateClaim.of(IMAGE, [_claim(number) for number in range(count)]),
    )
