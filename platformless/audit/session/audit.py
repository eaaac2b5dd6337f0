"""The audit of a session, step by step; the steps' numbers are those of docs/audit.md.

    1  the chain: session, events, counts, and whether they agree (`facts`)
    2  the payment: whether it follows from the tokens (`payments`)
    3  who the host is, and whether the model is registered (`identity`)
    4  every checkpoint's delta and bundle, joined from first to last (`evidence`)
    5  the proof of the whole session, where one was given, in place of the bundles
    6  the host's index (`index_check`)
    7  the proofs of sampled cells (`samples`)
    8  the client's transcript: every entry and state (`transcript_check`)
    9  the model: the transcript replayed (`audit.replay`)
    10 the policy (`session_policy`)

Whatever a node, a portal or a bundle returns ends in a report or in an error with a code; what
cannot be checked is not accepted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ...chain.connection import Chain
from ...engine.errors import DecodingFailed, ReplayRefused, SamplerNotUsable
from ...errors import PlatformlessError
from ...protocol import delta as deltas
from ...protocol.errors import ProtocolError
from ...protocol.index import PublishedSample
from ..evidence import CheckpointEvidence, Downloads, Gathering
from .beacons import LAG_SECONDS
from .concluding import Gathered, conclude
from .errors import (
    AuditorFailed,
    BrokeOff,
    IndexUnavailable,
    NodesDisagree,
    NothingToReplay,
    PartsNotFetched,
    SessionActive,
    TranscriptLonger,
)
from .evidence_findings import evidence_findings
from .facts import SessionFacts, check_facts, check_tokens, compare, read_facts, still_there
from .findings import Finding, Severity
from .identity import check_identity
from .index_check import check_index, published_samples
from .index_source import index_from_host
from .inputs import AuditInputs, OnStage
from .payments import check_payment
from .replaying import foreign_file, replay
from .report import AuditReport
from .samples import SamplesChecked, SampleSources, check_samples
from .transcript_check import (
    ProvenCheckpoint,
    TranscriptCheck,
    check_texts,
    check_transcript,
)
from .whole import check_whole_session, proven_by_parts, proven_by_whole

if TYPE_CHECKING:
    from ..replay.report import ReplayReport
    from ..whole_session import AggregateReport


log = logging.getLogger(__name__)
_UNFORESEEN = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What values that nobody thought of may raise: then nothing is said about the session."""


async def audit_session(
    chain: Chain,
    downloads: Downloads,
    session_id: int,
    inputs: AuditInputs | None = None,
    on_stage: OnStage | None = None,
) -> AuditReport:
    """Audits one session.

    Args:
        on_stage: Told of the progress, from the event loop.

    Returns:
        The report, whatever was found: `report.accepted` says whether the session is.

    Raises:
        UnknownSession: when the chain has no such session.
        ChainError: when the chain cannot be read, or does not stay the same.
        AuditorFailed: when it took longer than `inputs.deadline_seconds`.
        VerifierError: when the verifier cannot run.
        EngineError: when a model was given that cannot be run at all.
    """
    audit = _Audit(chain, downloads, session_id, inputs or AuditInputs(), on_stage or _silent)
    try:
        async with asyncio.timeout(audit.inputs.deadline_seconds):
            await audit.read()
            await audit.gather()
            await audit.read_index()
            await audit.check_samples()
            await still_there(chain, audit.facts)
    except TimeoutError as error:
        raise AuditorFailed(
            f"the audit of session {session_id} took too long",
            expected=f"at most {audit.inputs.deadline_seconds:g} s",
        ) from error
    except _UNFORESEEN as error:
        log.exception("an answer broke the audit of session %d", session_id)
        raise AuditorFailed("an answer broke the check", got=repr(error)) from error
    await asyncio.to_thread(audit.check_transcript)
    await audit.replay()
    return audit.report()


class _Audit:
    """One audit: what is known so far, and what was found."""

    def __init__(
        self,
        chain: Chain,
        downloads: Downloads,
        session_id: int,
        inputs: AuditInputs,
        on_stage: OnStage,
    ) -> None:
        self.inputs = inputs
        self._chain = chain
        self._downloads = downloads
        self._session_id = session_id
        self._on_stage = on_stage
        self._started = time.monotonic()
        self._findings: list[Finding] = []
        self._evidence: list[CheckpointEvidence] = []
        self._whole: AggregateReport | None = None
        self._proven: list[ProvenCheckpoint] = []
        self._index: bytes | None = None
        self._index_checked = False
        self._samples = SamplesChecked()
        self._transcript: TranscriptCheck | None = None
        self._replay: ReplayReport | None = None
        self.facts: SessionFacts
        self._gathering: Gathering

    # Steps 1 to 3

    async def read(self) -> None:
        self._on_stage("reading the chain", 0, 1)
        self.facts = facts = await read_facts(self._chain, self._session_id)
        if self.inputs.second_node is not None:
            self._find(await self._differences(self.inputs.second_node))
            facts = self.facts
        self._find(check_facts(facts))
        self._find(check_tokens(facts))
        self._find(check_payment(facts))
        self._find(check_identity(facts), Severity.WARNING)
        if not facts.over:
            self._find([SessionActive("the session goes on", got="active")], Severity.NOTE)
        self._on_stage("reading the chain", 1, 1)

    async def _differences(self, second_node: Chain) -> list[NodesDisagree]:
        """What another node tells differently, also when both are asked again: one may lag."""
        for attempt in range(2):
            if attempt:
                await asyncio.sleep(LAG_SECONDS)
                self.facts = await read_facts(self._chain, self._session_id)
            other = await read_facts(second_node, self._session_id)
            found = list(compare(self.facts, other))
            if not found:
                break
        return found

    # Steps 4 and 5

    async def gather(self) -> None:
        facts, inputs = self.facts, self.inputs
        gathering = self._gathering = Gathering(
            self._chain.network,
            self._downloads,
            facts.session,
            facts.model_id,
            private_key=inputs.private_key,
            trust=inputs.policy.trust(),
            limits=inputs.limits,
        )
        places = facts.places()
        if inputs.whole_session is not None:
            self._on_stage("verifying the proof of the whole session", 0, 1)
            try:
                self._whole = await asyncio.to_thread(
                    check_whole_session,
                    inputs.whole_session,
                    gathering.expectations(),
                    inputs.policy.trust(),
                    places,
                )
            except PlatformlessError as error:
                self._find([error])
            self._on_stage("verifying the proof of the whole session", 1, 1)
        whole = self._whole
        self._evidence = await gathering.gather(
            places,
            with_proofs=whole is None,
            on_done=lambda done, total: self._on_stage("checking checkpoints", done, total),
        )
        for item in self._evidence:
            self._findings += evidence_findings(item)
        if whole is None:
            self._proven = proven_by_parts(self._evidence)
            return
        self._proven, problems = proven_by_whole(whole, self._evidence)
        self._find(problems)
        self._find(
            [
                PartsNotFetched(
                    "one proof stands for all checkpoints: their own bundles, and the proof "
                    "hashes on chain, were not looked at",
                    got=f"{len(places)} checkpoints",
                )
            ],
            Severity.NOTE,
        )

    # Step 6

    async def read_index(self) -> None:
        facts, inputs = self.facts, self.inputs
        data = inputs.index
        if data is None and inputs.ask_host and facts.host is not None:
            self._on_stage("asking the host for its index", 0, 1)
            try:
                data = await index_from_host(
                    facts.host.api_url, self._session_id, private_hosts=inputs.ask_private_hosts
                )
            except IndexUnavailable as error:
                self._find([error], Severity.NOTE)
            self._on_stage("asking the host for its index", 1, 1)
        if data is None:
            return
        found = list(check_index(data, self._session_id, facts.session.host, facts.places()))
        self._find(found)
        self._index = data
        self._index_checked = not found

    # Step 7

    async def check_samples(self) -> None:
        facts, inputs = self.facts, self.inputs
        published: Mapping[int, PublishedSample] = {}
        if self._index is not None:
            host = facts.session.host
            published = published_samples(self._index, self._session_id, host, facts.places())
        self._samples = await check_samples(
            self._chain,
            inputs.second_node,
            facts,
            self._proven,
            self._gathering,
            inputs.policy,
            SampleSources(
                published,
                inputs.samples,
                inputs.transcript,
                inputs.model,
                replays=inputs.transcript is not None,
                bundles_checked=self._whole is None,
            ),
            self._on_stage,
        )
        self._findings += self._samples.findings

    # Step 8

    def check_transcript(self) -> None:
        transcript = self.inputs.transcript
        if transcript is None:
            return
        self._on_stage("checking the transcript", 0, 1)
        try:
            self._transcript, problems = check_transcript(transcript, self._proven)
        except ProtocolError as error:
            self._find([error])
            return
        # Answers after the last checkpoint were never billed; those whose end the client did not
        # see are for a person to look at.
        mild = {TranscriptLonger: Severity.NOTE, BrokeOff: Severity.WARNING}
        for one in problems:
            self._find([one], mild.get(type(one), Severity.ERROR))
        wrong = [one for one in problems if type(one) not in mild]
        read = [item.delta for item in self._evidence if item.delta is not None]
        if read and len(read) == len(self._evidence) and not wrong:
            self._find(check_texts(transcript, deltas.merge(read), self.facts.claimed))
        self._on_stage("checking the transcript", 1, 1)

    # Step 9

    async def replay(self) -> None:
        inputs = self.inputs
        if inputs.model is None:
            return
        if inputs.transcript is None:
            if self._samples.model_used:
                return
            self._find(
                [
                    NothingToReplay(
                        "a model was given, and no transcript: tokens are in no delta",
                        expected="the client's exported transcript",
                    )
                ],
                Severity.WARNING,
            )
            return
        if not any(entry.billed for entry in inputs.transcript.entries):
            nothing = NothingToReplay("the transcript has no answer", expected="an answer")
            self._find([nothing], Severity.WARNING)
            return
        try:
            self._replay, found = await replay(
                inputs.transcript,
                inputs.model,
                inputs.replay_mode,
                self._evidence,
                self.facts.model,
                self._on_stage,
            )
        except (ReplayRefused, SamplerNotUsable, DecodingFailed) as error:
            # What no model can have said; or it is not the session's, which is told as well.
            self._find([error])
            self._findings += await asyncio.to_thread(
                foreign_file, inputs.model, inputs.transcript, self.facts.model
            )
            return
        self._findings += found

    # Step 10

    def report(self) -> AuditReport:
        """The conclusion."""
        return conclude(
            Gathered(
                network=self._chain.network,
                facts=self.facts,
                evidence=self._evidence,
                whole=self._whole,
                proven=self._proven,
                samples=self._samples.checkpoints,
                transcript=self._transcript,
                replay=self._replay,
                index_checked=self._index_checked,
                findings=self._findings,
            ),
            self.inputs.policy,
            time.monotonic() - self._started,
        )

    def _find(
        self, problems: Iterable[PlatformlessError], severity: Severity = Severity.ERROR
    ) -> None:
        self._findings += [Finding.of(one, severity) for one in problems]


def _silent(_stage: str, _done: int, _total: int) -> None:
    return None
