"""The replay as a step of the audit: what it is given, and its findings as the audit's.

The engine's settings that the host recorded stand in its deltas, under the proven digest; those
that the client was told are taken where no delta was read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...chain.model_registry import RegisteredModel
from ...protocol.engine_record import EngineRecord
from ...protocol.exported import ExportedTranscript
from ..evidence import CheckpointEvidence
from ..replay.modes import WantedMode
from .errors import ModelFileForeign, TooFewTokens
from .findings import Finding, Severity

if TYPE_CHECKING:
    from ..replay.report import ReplayFinding, ReplayReport

_STAGE = "replaying the transcript"


async def replay(
    transcript: ExportedTranscript,
    model: Path,
    mode: WantedMode,
    evidence: Sequence[CheckpointEvidence],
    registered: RegisteredModel | None,
    on_stage: Callable[[str, int, int], None],
) -> tuple[ReplayReport, list[Finding]]:
    """Replays the transcript with the model file.

    Raises:
        EngineError: when the file cannot be run at all.
    """
    from ..replay.replaying import replay_transcript

    loop = asyncio.get_running_loop()

    def on_progress(done: int, total: int) -> None:
        loop.call_soon_threadsafe(on_stage, _STAGE, done, total)

    report = await asyncio.to_thread(
        replay_transcript,
        transcript.header,
        transcript.entries,
        model,
        settings=recorded_settings(transcript, evidence),
        mode=mode,
        on_progress=on_progress,
    )
    found = [
        Finding(one.code, _severity(one), one.message, one.expected, one.got)
        for one in report.findings
    ]
    foreign = unregistered(report.model.sha256, registered)
    return report, found + [Finding.of(one) for one in foreign]


def recorded_settings(
    transcript: ExportedTranscript, evidence: Sequence[CheckpointEvidence]
) -> EngineRecord | None:
    """What the host recorded of its engine: the same in every delta that was read, or nothing."""
    read = {item.delta.engine for item in evidence if item.delta is not None}
    if not read:
        return transcript.engine
    return read.pop() if len(read) == 1 else None


def _severity(finding: ReplayFinding) -> Severity:
    if finding.speaks_against:
        return Severity.ERROR
    return Severity.WARNING if finding.code == TooFewTokens.code else Severity.NOTE


def unregistered(sha256: bytes, registered: RegisteredModel | None) -> Iterator[ModelFileForeign]:
    """Whether a model file is not the one that the registry names. Weights roots are compared with
    the session's header, whose digest is the claims'."""
    if registered is not None and registered.file.file_hash.value != sha256:
        yield ModelFileForeign(
            "the model file is not the registered one",
            expected=registered.file.file_hash,
            got="0x" + sha256.hex(),
        )
