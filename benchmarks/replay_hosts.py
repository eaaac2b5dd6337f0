"""Hosts whose transcripts `benchmarks.replay` replays: a process each, so that each has its own
llama.cpp. `python -m benchmarks.replay_hosts` reads a job from its input (JSON), answers its
sessions with the engine as a node would, and writes their entries.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from platformless.protocol.digests import Seed
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.transcript import Entry, Kind, Sampler

SYSTEM = "You are a helpful assistant."
_PLAIN_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
"""For models without one."""


@dataclass(frozen=True)
class Host:
    """How a host runs its model."""

    name: str
    model: str
    flash_attention: bool = False
    threads: int = 1
    chunk: int = 32
    kv_type: str = "f16"
    company: int = 4
    """Sessions that are answered at once."""
    forgets: bool = False
    """Whether earlier turns are decoded anew for each answer."""
    build: str = ""
    """Folder of another llama_cpp; the installed one if empty."""


@dataclass(frozen=True)
class Session:
    """What is asked of a host."""

    seed: str
    sampler: dict[str, Any]
    questions: list[str]
    tokens: int = 150
    """At most, for each answer."""
    system: str = SYSTEM
    hidden_system: str | None = None
    """What the model is told instead of what the transcript shows."""


@dataclass(frozen=True)
class Recorded:
    """What it answered, and how long that took."""

    session: Session
    entries: list[Entry]
    seconds: float = field(default=0.0)

    @property
    def tokens(self) -> int:
        return sum(entry.billed for entry in self.entries)


def record(host: Host, sessions: list[Session], kept: Path | None = None) -> list[Recorded]:
    """The transcripts of a host, made in a process of its own; from the folder `kept`, if they
    were made before."""
    environment = dict(os.environ)
    if host.build:
        environment["PYTHONPATH"] = host.build
    job = {"host": asdict(host), "sessions": [asdict(one) for one in sessions]}
    known = None
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        known = kept / f"{hashlib.sha256(json.dumps(job).encode()).hexdigest()[:24]}.json"
        if known.exists():
            return [read_recorded(one) for one in json.loads(known.read_text())]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay_hosts"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env=environment,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"host {host.name}: {done.stderr[-2000:]}")
    if known is not None:
        known.write_text(done.stdout)
    return [read_recorded(one) for one in json.loads(done.stdout)]


def read_recorded(fields: dict[str, Any]) -> Recorded:
    session = Session(**fields["session"])
    entries = [
        Entry(
            Kind[one["kind"]], tuple(one["tokens"]), one["text"], Sampler(**one.get("sampler", {}))
        )
        for one in fields["entries"]
    ]
    return Recorded(session, entries, fields["seconds"])


def write_recorded(one: Recorded) -> dict[str, Any]:
    entries = []
    for entry in one.entries:
        fields: dict[str, Any] = {
            "kind": entry.kind.name,
            "tokens": list(entry.tokens),
            "text": entry.text,
        }
        if entry.kind is Kind.COMPLETION:
            fields["sampler"] = asdict(entry.sampler)
        entries.append(fields)
    return {"session": asdict(one.session), "entries": entries, "seconds": one.seconds}


async def _answer_all(host: Host, sessions: list[Session]) -> list[Recorded]:
    from platformless.engine.engine import Engine
    from platformless.engine.settings import EngineSettings, KvType

    settings = EngineSettings(
        model_path=Path(host.model),
        sequences=host.company,
        context_tokens=1024,
        prompt_chunk_tokens=host.chunk,
        threads=host.threads,
        kv_type=KvType(host.kv_type),
        flash_attention=host.flash_attention,
    )
    async with await Engine.load(settings) as engine:
        return await asyncio.gather(
            *(_answer(engine, host, number, one) for number, one in enumerate(sessions))
        )


async def _answer(engine: Any, host: Host, number: int, session: Session) -> Recorded:
    import time

    from platformless.engine.chat import ChatFormat
    from platformless.engine.request import GeneratedToken, GenerationRequest

    chat = ChatFormat(engine.vocabulary, engine.chat_template or _PLAIN_TEMPLATE)
    sampler = Sampler(**session.sampler)
    system = [ChatMessage("system", session.system)] if session.system else []
    told = [*system]
    hidden = (
        told if session.hidden_system is None else [ChatMessage("system", session.hidden_system)]
    )
    context: tuple[int, ...] = ()
    entries: list[Entry] = []
    position, seconds = 0, 0.0
    for question in session.questions:
        asked = ChatMessage("user", question)
        said = [*told, asked]
        if entries:
            tokens = shown = chat.continuation(said)
            prompt = Prompt((asked,), continues=True)
        else:
            tokens, shown = chat.opening([*hidden, asked]), chat.opening(said)
            prompt = Prompt(tuple(said))
        context += tokens
        entries.append(Entry(Kind.PROMPT, shown, prompt.text()))
        got: list[int] = []
        text = ""
        began = 0.0
        request = GenerationRequest(
            prompt=context,
            sampler=sampler,
            seed=Seed.from_hex(session.seed),
            max_tokens=session.tokens,
            conversation=None if host.forgets else number,
            first_position=position,
        )
        async with engine.generate(request) as generation:
            async for step in generation:
                text += step.text
                if isinstance(step, GeneratedToken):
                    began = began or time.perf_counter()
                    got.append(step.token)
        seconds += time.perf_counter() - began if began else 0.0
        if not got:
            entries.pop()
            break
        entries.append(Entry(Kind.COMPLETION, tuple(got), text, sampler))
        context += tuple(got)
        position += len(got)
        told = [*said, ChatMessage("assistant", text)]
    return Recorded(session, entries, seconds)


def main() -> None:
    job = json.load(sys.stdin)
    sessions = [Session(**one) for one in job["sessions"]]
    done = asyncio.run(_answer_all(Host(**job["host"]), sessions))
    json.dump([write_recorded(one) for one in done], sys.stdout)


if __name__ == "__main__":
    main()
