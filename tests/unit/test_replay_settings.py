"""Which settings a replay goes by, and whether for every token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.audit.evidence import CheckpointEvidence
from platformless.audit.replay.checks import Agreement, TextCheck
from platformless.audit.replay.modes import ReplayMode, WantedMode, choose_mode
from platformless.audit.replay.replaying import _unchecked_findings
from platformless.audit.replay.report import PROMPT_UNCHECKED
from platformless.audit.session.findings import Severity
from platformless.audit.session.replaying import RecordedSettings, _severity, recorded_settings
from platformless.protocol.engine_record import EngineRecord
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.transcript import Entry, Kind
from tests.samples import HEADER

from . import audit_reports

ENGINE = EngineRecord(
    llama_cpp="llama-cpp-python 1.2.3, system 00000000",
    gpu_layers=0,
    threads=1,
    batch_tokens=32,
    sequences=8,
    kv_type="q8_0",
    flash_attention=True,
)
OTHER = replace(ENGINE, threads=2)
TOKENS = audit_reports.TOKENS


def checkpoint(number: int, engine: EngineRecord | None) -> CheckpointEvidence:
    evidence = audit_reports.checkpoint(number).evidence
    assert evidence.delta is not None
    return replace(evidence, delta=replace(evidence.delta, engine=engine))


def unread(number: int) -> CheckpointEvidence:
    return audit_reports.checkpoint(number, delta="sealed").evidence


def transcript(tokens: int, engine: EngineRecord | None) -> ExportedTranscript:
    entries = (Entry(Kind.PROMPT, (1,), "a"), Entry(Kind.COMPLETION, (2,) * tokens, "b"))
    return ExportedTranscript(HEADER, entries, engine)


def mode_of(settings: RecordedSettings) -> ReplayMode:
    build = ENGINE.llama_cpp
    return choose_mode(WantedMode.AUTO, settings.engine, build, settings.doubt).mode


@pytest.mark.parametrize(
    ("evidence", "tokens", "told"),
    [
        ([], 10, ENGINE),
        ([checkpoint(0, ENGINE)], TOKENS, None),
        ([checkpoint(0, ENGINE)], TOKENS, OTHER),
        ([checkpoint(0, ENGINE), checkpoint(1, ENGINE)], 2 * TOKENS + 5, ENGINE),
    ],
)
def test_settings_that_hold_for_every_token_are_exact(
    evidence: list[CheckpointEvidence], tokens: int, told: EngineRecord | None
) -> None:
    settings = recorded_settings(transcript(tokens, told), evidence)
    assert settings == RecordedSettings(ENGINE)
    assert mode_of(settings) is ReplayMode.EXACT


@pytest.mark.parametrize(
    ("evidence", "tokens", "told", "why"),
    [
        ([checkpoint(0, ENGINE)], TOKENS + 1, None, "what no checkpoint covers"),
        ([checkpoint(0, ENGINE)], TOKENS + 1, OTHER, "what no checkpoint covers"),
        ([checkpoint(0, ENGINE), unread(1)], 2 * TOKENS, ENGINE, "delta 1 was not read"),
        ([unread(0)], TOKENS, ENGINE, "delta 0 was not read"),
        ([checkpoint(0, ENGINE), checkpoint(1, OTHER)], 2 * TOKENS, ENGINE, "different settings"),
    ],
)
def test_settings_that_may_not_hold_for_every_token_are_not_exact(
    evidence: list[CheckpointEvidence], tokens: int, told: EngineRecord | None, why: str
) -> None:
    settings = recorded_settings(transcript(tokens, told), evidence)
    assert why in str(settings.doubt)
    choice = choose_mode(WantedMode.AUTO, settings.engine, ENGINE.llama_cpp, settings.doubt)
    assert choice.mode is ReplayMode.STATISTICAL
    assert why in choice.reason
    asked = choose_mode(WantedMode.EXACT, settings.engine, ENGINE.llama_cpp, settings.doubt)
    assert asked.mode is ReplayMode.EXACT
    assert why in asked.reason


def test_what_is_known_of_the_cache_is_not_lost_with_a_doubt() -> None:
    """A statistical replay takes the host's number format, too."""
    settings = recorded_settings(transcript(TOKENS, ENGINE), [unread(0)])
    assert settings.engine == ENGINE


def test_a_prompt_that_was_not_checked_is_told_and_keeps_the_level_down() -> None:
    replay = audit_reports.replay_of([0.0] * 300)
    assert replay.replayed
    prompts = (
        *replay.prompts,
        TextCheck(2, Agreement.NOT_CHECKED, "the model file has no chat template"),
        TextCheck(4, Agreement.NOT_CHECKED, "the model file has no chat template"),
    )
    (finding,) = _unchecked_findings(prompts)
    assert (finding.code, finding.entry) == (PROMPT_UNCHECKED, 2)
    assert finding.message.startswith("2 of 3 prompts")
    assert "no chat template" in finding.message
    assert not finding.speaks_against
    assert _severity(finding) is Severity.WARNING
    unchecked = replace(replay, prompts=prompts, findings=(finding,))
    assert unchecked.accepted
    assert not unchecked.replayed
    assert not list(_unchecked_findings(replay.prompts))
