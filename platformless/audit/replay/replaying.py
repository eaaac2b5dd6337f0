"""The replay of a transcript: everything that is checked, and the report.

The engine is imported when it is called: the base install verifies proofs without llama.cpp.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...protocol.header import SessionHeader
from ...protocol.transcript import Entry
from .calibration import Calibration, SamplerClass, released_calibration
from .checks import Agreement, TextCheck, check_answers, check_prompts
from .modes import ModeChoice, ReplayMode, WantedMode, choose_mode
from .report import (
    EXACT_MISMATCH,
    MODEL_FOREIGN,
    NOT_EXACT,
    NOT_THIS_MODEL,
    OUT_OF_REACH,
    PAST_ITS_END,
    PROMPT_FOREIGN,
    PROMPT_UNCHECKED,
    TEXT_FOREIGN,
    TOO_FEW,
    ModelFile,
    ReplayFinding,
    ReplayReport,
    TokenTable,
)
from .verdict import Outcome, Rule, Verdict, judge_exact, judge_statistical

if TYPE_CHECKING:
    from ...engine.judging import JudgedEnd, JudgedToken
    from ...engine.replay import Replayer
    from ...engine.settings import EngineSettings, KvType
    from ...protocol.engine_record import EngineRecord

OnProgress = Callable[[int, int], None]


def replay_transcript(
    header: SessionHeader,
    entries: Sequence[Entry],
    model: Path,
    settings: EngineRecord | None,
    on_progress: OnProgress | None = None,
    mode: str = "auto",
    doubt: str | None = None,
) -> ReplayReport:
    """Replays a session with a model file.

    Args:
        settings: how the host ran the model, if it said so.
        on_progress: told of tokens decoded and of all tokens; what it raises ends the replay.
        mode: auto, exact or statistical.
        doubt: why `settings` may not be those of every token; such a replay is statistical,
            unless an exact one is asked for.

    Raises:
        EngineNotInstalled: without the `engine` extra.
        ModelError: when the file cannot be used.
        ReplayRefused: when the model cannot have made this transcript: context or vocabulary are
            too small, or there is nothing to replay.
        SamplerNotUsable, DecodingFailed: see there.
    """
    from ...engine.build import llama_build
    from ...engine.chat import ChatFormat
    from ...engine.errors import NoChatTemplate
    from ...engine.replay import Replayer

    build = llama_build()
    choice = choose_mode(WantedMode(mode), settings, build, doubt)
    file = model_file(model, header)
    with Replayer.open(_engine_settings(choice.mode, model, settings)) as replayer:
        seen = _replayed(replayer, header, entries, on_progress)
        try:
            chat = ChatFormat(replayer.vocabulary, replayer.chat_template)
        except NoChatTemplate:
            chat = None
        prompts = check_prompts(entries, chat, replayer.vocabulary)
        answers = check_answers(entries, replayer.vocabulary)
    calibration = released_calibration()
    verdict = _verdict(choice.mode, seen.table, entries, calibration)
    return ReplayReport(
        mode=choice.mode,
        mode_reason=choice.reason,
        build=build,
        model=file,
        tokens=seen.table,
        prompts=prompts,
        answers=answers,
        cut_answers=tuple(seen.cut),
        context_tokens=seen.decoded,
        seconds=seen.seconds,
        verdict=verdict,
        findings=(
            *model_findings(file),
            *_text_findings(PROMPT_FOREIGN, "a prompt's tokens are not its text's", prompts),
            *_text_findings(TEXT_FOREIGN, "an answer's tokens do not spell its text", answers),
            *_unchecked_findings(prompts),
            *_token_findings(choice, seen, verdict, entries, calibration),
        ),
    )


@dataclass(slots=True)
class _Seen:
    """What a replay has seen."""

    table: TokenTable = field(default_factory=TokenTable)
    past_end: list[int] = field(default_factory=list)
    """Rows where the model ended its answer and the transcript goes on."""
    ends: list[int] = field(default_factory=list)
    """Rows whose token ends an answer: no node bills one, and it shows in no text."""
    cut: list[int] = field(default_factory=list)
    """Entries that end where the model does not."""
    decoded: int = 0
    seconds: float = 0.0


def _replayed(
    replayer: Replayer,
    header: SessionHeader,
    entries: Sequence[Entry],
    on_progress: OnProgress | None,
) -> _Seen:
    from ...engine.judging import judged

    seen = _Seen()

    def progress(done: int, total: int) -> None:
        seen.decoded = done
        if on_progress is not None:
            on_progress(done, total)

    began = time.perf_counter()
    steps = judged(replayer, entries, header.seed, progress)
    with closing(steps):
        _note(steps, seen, replayer.vocabulary.end_tokens)
    seen.seconds = time.perf_counter() - began
    return seen


def _note(
    steps: Iterator[JudgedToken | JudgedEnd], seen: _Seen, end_tokens: frozenset[int]
) -> None:
    from ...engine.judging import JudgedEnd

    table = seen.table
    for step in steps:
        if isinstance(step, JudgedEnd):
            if step.chosen not in end_tokens:
                seen.cut.append(step.entry)
            continue
        if step.margin and step.chosen in end_tokens:
            seen.past_end.append(len(table))
        if step.token in end_tokens:
            seen.ends.append(len(table))
        table.entry.append(step.entry)
        table.index.append(step.index)
        table.position.append(step.position)
        table.token.append(step.token)
        table.chosen.append(step.chosen)
        table.margin.append(step.margin)


def _verdict(
    mode: ReplayMode, table: TokenTable, entries: Sequence[Entry], calibration: Calibration
) -> Verdict:
    if mode is ReplayMode.EXACT:
        return judge_exact(table.margin, calibration)
    return judge_statistical(table.margin, _classes(table, entries), calibration)


def _classes(table: TokenTable, entries: Sequence[Entry]) -> list[SamplerClass]:
    return [SamplerClass.of(entries[number].sampler) for number in table.entry]


def _engine_settings(
    mode: ReplayMode, model: Path, settings: EngineRecord | None
) -> EngineSettings:
    from ...engine.replay import exact_settings, statistical_settings

    kv_type = _kv_type(settings)
    if mode is ReplayMode.EXACT:
        return exact_settings(model, kv_type)
    return statistical_settings(model, kv_type, settings is not None and settings.flash_attention)


def _kv_type(settings: EngineRecord | None) -> KvType:
    """The host's; llama.cpp's own where it is none that the engine has."""
    from ...engine.settings import KvType

    try:
        return KvType.F16 if settings is None else KvType(settings.kv_type)
    except ValueError:
        return KvType.F16


def model_file(model: Path, header: SessionHeader) -> ModelFile:
    """Raises:
    ModelError: when the file cannot be read.
    """
    from ...engine.weights import weights_of

    weights = weights_of(model)
    return ModelFile(model.name, weights.file_sha256, weights.root, header.terms.weights_root)


def model_findings(file: ModelFile) -> Iterator[ReplayFinding]:
    """In what a file is not the one that the session names."""
    if not file.matches:
        yield ReplayFinding(
            MODEL_FOREIGN,
            "the model file has other weights than the session names",
            str(file.expected_root),
            str(file.weights_root),
        )


def _text_findings(code: str, message: str, checks: Sequence[TextCheck]) -> Iterator[ReplayFinding]:
    for one in checks:
        if one.agreement is Agreement.DIFFERENT:
            yield ReplayFinding(code, message, one.expected, one.got, one.entry, one.token)


def _unchecked_findings(prompts: Sequence[TextCheck]) -> Iterator[ReplayFinding]:
    unchecked = [one for one in prompts if one.agreement is Agreement.NOT_CHECKED]
    if unchecked:
        yield ReplayFinding(
            PROMPT_UNCHECKED,
            f"{len(unchecked)} of {len(prompts)} prompts were not compared with their text, this "
            f"one first: {unchecked[0].how}",
            entry=unchecked[0].entry,
        )


def _token_findings(
    choice: ModeChoice,
    seen: _Seen,
    verdict: Verdict,
    entries: Sequence[Entry],
    calibration: Calibration,
) -> Iterator[ReplayFinding]:
    table = seen.table
    if choice.mode is ReplayMode.EXACT:
        wrong = table.mismatches()
        if wrong:
            yield _about(
                table,
                wrong[0],
                EXACT_MISMATCH,
                f"the replay chooses another token {len(wrong)} times, the first time here",
            )
        far = wrong
    else:
        yield ReplayFinding(NOT_EXACT, f"not replayed bit for bit: {choice.reason}")
        limits = [calibration.limit(which) for which in _classes(table, entries)]
        far = [row for row, limit in enumerate(limits) if table.margin[row] > limit]
        if verdict.rule is Rule.MEAN and verdict.outcome is Outcome.REJECTED:
            yield ReplayFinding(
                NOT_THIS_MODEL,
                f"{verdict.mismatches} of {verdict.tokens} tokens are not what the model chooses",
                f"p at least {verdict.reject_below:g}",
                f"p at most {verdict.p_value:.2g}, mean score {verdict.mean_score:.4f}",
            )
        if far:
            worst = max(far, key=lambda row: table.margin[row])
            yield _about(
                table,
                worst,
                OUT_OF_REACH,
                f"a token {table.margin[worst]:.2f} logits from being chosen, beyond "
                f"{limits[worst]:.2f}; {len(far)} such tokens",
            )
    past = sorted(set(far) & set(seen.past_end))
    if past:
        yield _about(table, past[0], PAST_ITS_END, "the answer goes on where the model ended it")
    if seen.ends:
        row = seen.ends[0]
        yield ReplayFinding(
            PAST_ITS_END,
            f"the token that ends an answer is billed as one of its tokens, {len(seen.ends)} times",
            "no end token",
            f"token {table.token[row]}",
            table.entry[row],
            table.index[row],
        )
    if verdict.outcome is Outcome.TOO_FEW_TOKENS:
        yield ReplayFinding(
            TOO_FEW,
            "too few tokens for a verdict",
            f"at least {verdict.tokens_needed}",
            str(verdict.tokens),
        )


def _about(table: TokenTable, row: int, code: str, message: str) -> ReplayFinding:
    return ReplayFinding(
        code,
        message,
        f"token {table.chosen[row]}",
        f"token {table.token[row]}",
        table.entry[row],
        table.index[row],
    )
