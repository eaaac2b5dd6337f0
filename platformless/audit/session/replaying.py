"""The replay as a step of the audit: what it is given, and its findings as the audit's.

The engine's settings that the host recorded stand in its deltas, under the proven digest, each
for the tokens of its checkpoint. Those that the client was told are for the tokens behind the last
one: only the transcript, which nobody has proven, says them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...chain.model_registry import RegisteredModel
from ...protocol.engine_record import EngineRecord
from ...protocol.exported import ExportedTranscript
from ..evidence import CheckpointEvidence
from ..replay.modes import WantedMode
from .errors import ModelFileForeign
from .findings import Finding, Severity

if TYPE_CHECKING:
    from ..replay.report import ModelFile, ReplayFinding, ReplayReport

_STAGE = "replaying the transcript"


@dataclass(frozen=True, slots=True)
class RecordedSettings:
    """How the host says that its engine was set."""

    engine: EngineRecord | None
    """None when it said nothing, or two things."""
    doubt: str | None = None
    """Why that may not hold for every token: no replay is bit for bit then."""


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
        ReplayRefused, SamplerNotUsable, DecodingFailed: when the transcript cannot be replayed.
        EngineError: when the file cannot be run at all.
    """
    from ..replay.replaying import replay_transcript

    settings = recorded_settings(transcript, evidence)
    loop = asyncio.get_running_loop()

    def on_progress(done: int, total: int) -> None:
        loop.call_soon_threadsafe(on_stage, _STAGE, done, total)

    report = await asyncio.to_thread(
        replay_transcript,
        transcript.header,
        transcript.entries,
        model,
        settings=settings.engine,
        mode=mode,
        on_progress=on_progress,
        doubt=settings.doubt,
    )
    return report, _findings(report.findings, report.model, registered)


def foreign_file(
    model: Path, transcript: ExportedTranscript, registered: RegisteredModel | None
) -> list[Finding]:
    """In what a model file is not the session's, where it could not be replayed.

    Raises:
        ModelError: when the file cannot be read.
    """
    from ..replay.replaying import model_file, model_findings

    file = model_file(model, transcript.header)
    return _findings(model_findings(file), file, registered)


def _findings(
    found: Iterable[ReplayFinding], file: ModelFile, registered: RegisteredModel | None
) -> list[Finding]:
    """Those of the replay, then what the registry says of the file."""
    return [
        *(Finding(one.code, _severity(one), one.message, one.expected, one.got) for one in found),
        *map(Finding.of, unregistered(file.sha256, registered)),
    ]


def recorded_settings(
    transcript: ExportedTranscript, evidence: Sequence[CheckpointEvidence]
) -> RecordedSettings:
    """What the host recorded of its engine: the same in every delta that was read, or nothing."""
    said = {item.delta.engine for item in evidence if item.delta is not None} or {transcript.engine}
    if len(said) > 1:
        return RecordedSettings(None, "the host recorded different settings in its deltas")
    (engine,) = said
    unread = [item.place.number for item in evidence if item.delta is None]
    if unread:
        return RecordedSettings(
            engine, f"the settings are in deltas, and delta {unread[0]} was not read"
        )
    proven = max((item.place.tokens_after for item in evidence), default=0)
    if sum(entry.billed for entry in transcript.entries) > proven and transcript.engine != engine:
        return RecordedSettings(
            engine, "the client was told other settings, or none, for what no checkpoint covers"
        )
    return RecordedSettings(engine)


def _severity(finding: ReplayFinding) -> Severity:
    """A replay that could not tell enough is a warning."""
    from ..replay.report import PROMPT_UNCHECKED, TOO_FEW

    if finding.speaks_against:
        return Severity.ERROR
    return Severity.WARNING if finding.code in {TOO_FEW, PROMPT_UNCHECKED} else Severity.NOTE


def unregistered(sha256: bytes, registered: RegisteredModel | None) -> Iterator[ModelFileForeign]:
    """Whether a model file is not the one that the registry names. Weights roots are compared with
    the session's header, whose digest is the claims'."""
    if registered is not None and registered.file.file_hash.value != sha256:
        yield ModelFileForeign(
            "the model file is not the registered one",
            expected=registered.file.file_hash,
            got="0x" + sha256.hex(),
        )
