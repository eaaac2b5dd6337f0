"""Transcripts made and replayed for `benchmarks.replay`: what is left of each are its margins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from platformless.audit.replay.calibration import SamplerClass
from platformless.engine.judging import JudgedToken, judged
from platformless.engine.model import packaged_model
from platformless.engine.replay import Replayer, exact_settings, statistical_settings
from platformless.engine.settings import KvType
from platformless.protocol.digests import Seed
from platformless.protocol.transcript import Kind

from .replay_cases import EXACT_HOST, SAMPLERS, Attack, session
from .replay_hosts import Host, Recorded, record


@dataclass(frozen=True)
class Replayed:
    """A transcript's tokens under one replay."""

    name: str
    """The host's setup, or the attack."""
    sampler: str
    """Its class."""
    margins: list[float]
    tokens: int
    """Decoded, prompts included."""
    seconds: float


@dataclass(frozen=True)
class AttackReplays:
    name: str
    sampler: str
    exact: list[Replayed]
    statistical: list[Replayed]
    case: Attack
    recorded: list[Recorded]
    """As the transcripts say it."""


def honest(
    hosts: Sequence[Host], purpose: str, sessions: int, tokens: int, kept: Path | None = None
) -> dict[str, list[Replayed]]:
    """Statistical replays by setup; `sessions` transcripts of each sampler, greedy ones twice."""
    found: dict[str, list[Replayed]] = {}
    for number, host in enumerate(hosts):
        asked = [
            session(100 * number + at, sampler, purpose, 2, tokens)
            for sampler in SAMPLERS.values()
            for at in range(sessions * (1 if sampler.temperature else 2))
        ]
        began = time.monotonic()
        recorded = record(host, asked, kept)
        made = time.monotonic()
        settings = statistical_settings(
            packaged_model(), KvType(host.kv_type), host.flash_attention
        )
        with Replayer.open(settings) as replayer:
            found[host.name] = [replayed(replayer, host.name, one) for one in recorded]
        say(
            f"{purpose}: {host.name}: {sum(one.tokens for one in recorded)} tokens in "
            f"{made - began:.0f} s, replayed in {time.monotonic() - made:.0f} s"
        )
    return found


def bit_exact(sessions: int, tokens: int, kept: Path | None = None) -> list[Replayed]:
    """Exact replays of hosts whose settings allow them: alone, and eight sessions at once."""
    found = []
    with Replayer.open(exact_settings(packaged_model())) as replayer:
        for company in (1, 8):
            host = replace(EXACT_HOST, company=company, name=f"exact, {company} at once")
            asked = [
                session(at, sampler, f"exact {company}", 3, tokens)
                for sampler in SAMPLERS.values()
                for at in range(sessions)
            ]
            found += [replayed(replayer, host.name, one) for one in record(host, asked, kept)]
            say(f"{host.name}: replayed")
    return found


def attacked(cases: Sequence[Attack], kept: Path | None = None) -> list[AttackReplays]:
    """Both replays of every attack, by hosts that say that they can be replayed exactly."""
    with ThreadPoolExecutor(2) as pool:
        hosts: dict[str, list[Recorded]] = dict(
            pool.map(
                lambda key: (key, _record_once(cases, key, kept)), {_key(one) for one in cases}
            )
        )
    say(f"{len(hosts)} cheating hosts have answered")
    changed = []
    with Replayer.open(exact_settings(packaged_model())) as replayer:
        for case in cases:
            recorded = [case.change(one, replayer.vocabulary) for one in hosts[_key(case)]]
            exact = [replayed(replayer, case.name, one, only_first=True) for one in recorded]
            changed.append((case, recorded, exact))
    found = []
    with Replayer.open(statistical_settings(packaged_model(), flash_attention=True)) as replayer:
        for case, recorded, exact in changed:
            statistical = [replayed(replayer, case.name, one) for one in recorded]
            found.append(
                AttackReplays(case.name, exact[0].sampler, exact, statistical, case, recorded)
            )
            say(f"{case.name}, {exact[0].sampler}: replayed twice")
    return found


def replayed(replayer: Replayer, name: str, one: Recorded, only_first: bool = False) -> Replayed:
    """`only_first`: up to the first token that differs."""
    decoded = 0

    def progress(done: int, _total: int) -> None:
        nonlocal decoded
        decoded = done

    began = time.perf_counter()
    margins: list[float] = []
    seed = Seed.from_hex(one.session.seed)
    with closing(judged(replayer, one.entries, seed, progress)) as steps:
        for step in steps:
            if isinstance(step, JudgedToken):
                margins.append(step.margin)
                if only_first and step.margin:
                    break
    seconds = time.perf_counter() - began
    samplers = {entry.sampler for entry in one.entries if entry.kind is Kind.COMPLETION}
    return Replayed(name, SamplerClass.of(samplers.pop()).value, margins, decoded, seconds)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def _key(case: Attack) -> str:
    return f"{case.host}{case.sessions}"


def _record_once(cases: Sequence[Attack], key: str, kept: Path | None) -> list[Recorded]:
    case = next(one for one in cases if _key(one) == key)
    return record(case.host, case.sessions, kept)
