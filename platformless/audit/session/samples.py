"""The proofs of sampled cells of a session: which checkpoints must have one, and which have.

A checkpoint whose claim has a trace root committed to a computation before the beacon's block was
there. Where its proof is, the host's index says, which the contract has no part in: nothing of it
is believed but that this is the file that the host means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...chain.connection import Chain
from ...errors import PlatformlessError
from ...protocol.bundle import Bundle
from ...protocol.claim import SessionClaim
from ...protocol.digests import StateDigest
from ...protocol.errors import ProtocolError
from ...protocol.exported import ExportedTranscript
from ...protocol.index import PublishedSample
from ...protocol.sample.beacon import beacon_block, is_drawn
from ...protocol.sample.claim import SampleClaim
from ...protocol.sample.context import covered_tokens
from ..errors import EventMismatch, VerifierError
from ..evidence import Gathering
from ..places import CheckpointOnChain
from ..sample import SampleReport, verify_sample
from ..sample_expected import BlockHash, ExpectedSample, Unchecked
from ..sandbox import released_verifier
from .beacons import Beacons
from .contexts import TranscriptContexts
from .errors import (
    AuditProblem,
    BeaconNotYet,
    ContextsUnchecked,
    FactsUnchecked,
    RootNotSubmitted,
    SampleMissing,
    SampleUnmatched,
)
from .evidence_findings import is_absent
from .facts import SessionFacts
from .facts_source import FactsSource
from .findings import Finding, Severity
from .inputs import OnStage
from .sample_states import CheckpointSample, SampleState
from .session_policy import AuditPolicy
from .transcript_check import ProvenCheckpoint

_STAGE = "checking sampled cells"


@dataclass(frozen=True, slots=True)
class SampleSources:
    """What an auditor has to check samples with."""

    published: Mapping[int, PublishedSample] = field(default_factory=dict)
    """From the host's index, by number of the checkpoint."""
    files: Sequence[bytes] = ()
    transcript: ExportedTranscript | None = None
    model: Path | None = None
    replays: bool = False
    """Whether the model file is judged by a replay besides."""
    bundles_checked: bool = True
    """Whether the checkpoints are proven by the bundles that were submitted."""


@dataclass(frozen=True, slots=True)
class SamplesChecked:
    """What was found of all checkpoints with an accepted proof."""

    checkpoints: Mapping[int, CheckpointSample] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    model_used: bool = False
    """Whether facts were taken from the model file."""


async def check_samples(
    chain: Chain,
    second_node: Chain | None,
    facts: SessionFacts,
    proven: Sequence[ProvenCheckpoint],
    gathering: Gathering,
    policy: AuditPolicy,
    sources: SampleSources,
    on_stage: OnStage,
) -> SamplesChecked:
    """Checks the samples of all proven checkpoints.

    Raises:
        ChainError: when a beacon's block cannot be read.
        VerifierError: when the verifier cannot run.
        ModelError: when the model file is none.
    """
    check = _Check(chain, second_node, facts, gathering, policy, sources)
    return await check.run(proven, on_stage)


class _Check:
    def __init__(
        self,
        chain: Chain,
        second_node: Chain | None,
        facts: SessionFacts,
        gathering: Gathering,
        policy: AuditPolicy,
        sources: SampleSources,
    ) -> None:
        self._beacons = Beacons(chain, second_node)
        self._facts = facts
        self._places = {place.number: place for place in facts.places()}
        self._gathering = gathering
        self._policy = policy
        self._sources = sources
        self._findings: list[Finding] = []
        self._models = FactsSource(policy.models, sources.model)

    async def run(self, proven: Sequence[ProvenCheckpoint], on_stage: OnStage) -> SamplesChecked:
        self._contexts = self._read_transcript()
        self._files = self._match_files(proven)
        traced = [one for one in proven if not one.trace_root.is_zero]
        done = 0

        async def checked(one: ProvenCheckpoint) -> CheckpointSample:
            nonlocal done
            result = await self._checkpoint(one, self._places[one.number])
            done += 1
            on_stage(_STAGE, done, len(traced))
            return result

        results = dict(
            zip(
                (one.number for one in traced),
                await asyncio.gather(*map(checked, traced)),
                strict=True,
            )
        )
        for one in proven:
            results.setdefault(one.number, CheckpointSample(SampleState.UNTRACED))
        for disagreement in self._beacons.disagreements:
            self._find(disagreement, Severity.ERROR)
        self._judge_model(proven)
        self._note_unchecked([one.report for one in results.values() if one.report is not None])
        return SamplesChecked(results, tuple(self._findings), self._models.file_used)

    async def _checkpoint(
        self, one: ProvenCheckpoint, place: CheckpointOnChain
    ) -> CheckpointSample:
        if place.event is None:
            problem = EventMismatch(
                f"the node shows no event of proof {place.number}: nothing tells which block draws",
                expected="a ProofSubmitted event",
                got="a proof in the contract's storage alone",
            )
            self._find(problem, Severity.WARNING, place.number)
            return CheckpointSample(SampleState.MISSING)
        number, head = beacon_block(place.event.place.block_number), self._facts.head.number
        if number > head:
            self._find(
                BeaconNotYet(
                    f"the cells of checkpoint {place.number} are not drawn yet",
                    expected=f"block {number}",
                    got=f"block {head} is the newest",
                ),
                Severity.NOTE,
                place.number,
            )
            return CheckpointSample(SampleState.WAITING)
        one_in = self._policy.sample_one_in
        try:
            await self._require_submitted(one, place)
        except PlatformlessError as error:
            return self._refused(place, error, drawn=True)
        source = self._files.get(one.state_after) or self._sources.published.get(place.number)
        if source is None and one_in == 1:
            return self._missing(place, "no file was named")
        beacon = await self._beacons.at(number)
        drawn = is_drawn(one.trace_root, one.state_after, beacon, one_in)
        if source is None:
            return self._missing(place, "no file was named") if drawn else _spared(place)
        expected = ExpectedSample(
            checkpoint=one,
            beacon=BlockHash(number, beacon),
            model=await self._models.model_of(one.terms.weights_root),
            context=self._contexts.ending_in(one.state_after) if self._contexts else None,
            least_draws=self._policy.sample_draws,
        )
        try:
            report = await self._verified(place, source, expected)
        except VerifierError:
            raise
        except PlatformlessError as error:
            return self._refused(place, error, drawn)
        return _accepted(place, report, drawn)

    async def _require_submitted(self, one: ProvenCheckpoint, place: CheckpointOnChain) -> None:
        """Whether the trace root was fixed by the submission. The proof of a whole session is made
        later, and of proofs that need not be those whose hashes are on chain."""
        if self._sources.bundles_checked:
            return
        what, cid = f"bundle {place.number}", place.proof_cid or ""
        submitted = await self._gathering.named_bundle(what, cid, place.proof_hash, _session_claim)
        if (submitted.trace_root, submitted.state_after) != (one.trace_root, one.state_after):
            raise RootNotSubmitted(
                f"the bundle of checkpoint {place.number} that was submitted has another trace",
                expected=submitted.trace_root,
                got=one.trace_root,
            )

    def _refused(
        self, place: CheckpointOnChain, error: PlatformlessError, drawn: bool
    ) -> CheckpointSample:
        if is_absent(error):
            return self._missing(place, str(error)) if drawn else _spared(place)
        self._find(error, Severity.ERROR, place.number)
        return CheckpointSample(SampleState.REJECTED)

    async def _verified(
        self, place: CheckpointOnChain, source: bytes | PublishedSample, expected: ExpectedSample
    ) -> SampleReport:
        policy, verifier = self._policy.trust().policy(()), released_verifier()

        def check(data: bytes) -> SampleReport:
            return verify_sample(data, expected, policy, verifier)

        if isinstance(source, bytes):
            return await self._gathering.given_bundle(source, check)
        what = f"the bundle of the sampled cells of checkpoint {place.number}"
        return await self._gathering.named_bundle(what, source.cid, source.proof_hash, check)

    def _read_transcript(self) -> TranscriptContexts | None:
        """None also for entries that cannot follow one another: the step on the transcript says
        why."""
        if self._sources.transcript is None:
            return None
        try:
            return TranscriptContexts(self._sources.transcript)
        except ProtocolError:
            return None

    def _match_files(self, proven: Sequence[ProvenCheckpoint]) -> Mapping[StateDigest, bytes]:
        known = {one.state_after for one in proven}
        files: dict[StateDigest, bytes] = {}
        for data in self._sources.files:
            try:
                state = SampleClaim.decode(Bundle.decode(data).journal).state_after
            except ProtocolError as error:
                unmatched = SampleUnmatched("a file is no proof of sampled cells", got=error)
                self._find(unmatched, Severity.WARNING)
                continue
            if state not in known:
                unmatched = SampleUnmatched(
                    "a file has the sampled cells of no proven checkpoint", got=state
                )
                self._find(unmatched, Severity.WARNING)
            files[state] = data
        return files

    def _missing(self, place: CheckpointOnChain, why: str) -> CheckpointSample:
        missing = SampleMissing(
            f"checkpoint {place.number} was drawn, and its sampled cells are not shown",
            expected="a proof of sampled cells",
            got=why,
        )
        self._find(missing, Severity.WARNING, place.number)
        return CheckpointSample(SampleState.MISSING)

    def _judge_model(self, proven: Sequence[ProvenCheckpoint]) -> None:
        problems = list(self._models.contradictions())
        if proven and not self._sources.replays:
            root = proven[0].terms.weights_root
            problems += self._models.foreign(root, self._facts.model)
        for one in problems:
            self._find(one, Severity.ERROR)

    def _note_unchecked(self, reports: Sequence[SampleReport]) -> None:
        without_facts = sum(Unchecked.FACTS in one.unchecked for one in reports)
        if without_facts:
            unchecked: AuditProblem = FactsUnchecked(
                f"of {without_facts} proofs of sampled cells nobody checked which model it was",
                expected="the model file, or a trusted digest of its facts",
                got=self._models.why_none,
            )
            self._find(unchecked, Severity.NOTE)
        without_context = sum(Unchecked.CONTEXT in one.unchecked for one in reports)
        if without_context:
            unchecked = ContextsUnchecked(
                "that the model saw nothing before the sampled contexts was not checked",
                expected="the client's transcript",
                got=f"{without_context} contexts",
            )
            self._find(unchecked, Severity.NOTE)

    def _find(
        self, problem: PlatformlessError, severity: Severity, number: int | None = None
    ) -> None:
        self._findings.append(Finding.of(problem, severity, number))


def _accepted(place: CheckpointOnChain, report: SampleReport, drawn: bool) -> CheckpointSample:
    if report.shown is None:
        result = CheckpointSample(SampleState.UNCHECKED_FACTS, report=report)
    else:
        before = report.claim.tokens_before
        covered = covered_tokens(before, place.tokens_before, place.tokens_after)
        result = CheckpointSample(SampleState.ACCEPTED, covered, report=report)
    return result if drawn else result.sparing(place.tokens)


def _spared(place: CheckpointOnChain) -> CheckpointSample:
    return CheckpointSample(SampleState.NOT_DRAWN).sparing(place.tokens)


def _session_claim(data: bytes) -> SessionClaim:
    return SessionClaim.decode(Bundle.decode(data).journal)
