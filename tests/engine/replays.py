"""Transcripts for tests of replays: answered by the real engine, as a node does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from platformless.engine.build import llama_build
from platformless.engine.chat import ChatFormat
from platformless.engine.engine import Engine
from platformless.engine.request import GenerationRequest
from platformless.engine.settings import EngineSettings
from platformless.protocol.digests import Seed, WeightsRoot
from platformless.protocol.engine_record import EngineRecord
from platformless.protocol.header import SessionHeader
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.transcript import Entry, Kind, Sampler
from tests.samples import HEADER, TERMS

from .answers import answer

EXACT = EngineSettings(
    threads=1, sequences=2, context_tokens=512, flash_attention=True, prompt_chunk_tokens=32
)
GREEDY = Sampler()
DRAWN = Sampler(temperature=0.7, top_k=40, top_p=0.95, min_p=0.05)
QUESTIONS = ("How is bread made?", "And cake?")


def unbound(header: SessionHeader = HEADER) -> SessionHeader:
    """A session that names no weights."""
    return replace(header, terms=replace(TERMS, weights_root=WeightsRoot.zero()))


def recorded_settings() -> EngineRecord:
    """What a host with the settings `EXACT` says of itself."""
    return EngineRecord(
        llama_cpp=llama_build(),
        gpu_layers=0,
        threads=1,
        batch_tokens=32,
        sequences=2,
        kv_type="f16",
        flash_attention=True,
    )


@dataclass(frozen=True)
class Told:
    """What a host does other than the transcript says."""

    system: str | None = None
    sampler: Sampler | None = None
    seed: Seed | None = None


NOTHING = Told()


async def transcript(
    engine: Engine, sampler: Sampler, tokens: int, hidden: Told = NOTHING
) -> tuple[Entry, ...]:
    """Two turns of at most `tokens` tokens each; the last does not continue what was before."""
    chat = ChatFormat(engine.vocabulary, engine.chat_template)
    entries: list[Entry] = []
    said: list[ChatMessage] = [ChatMessage("system", "Be helpful.")]
    context: tuple[int, ...] = ()
    position = 0
    for number, question in enumerate(QUESTIONS):
        new = (*said, ChatMessage("user", question)) if number == 0 else (
            ChatMessage("user", question),
        )  # fmt: skip
        if number:
            said += new
            shown = given = chat.continuation(said)
        else:
            said = [*new]
            shown = given = chat.opening(said)
            if hidden.system is not None:
                given = chat.opening([ChatMessage("system", hidden.system), *said[1:]])
        context += given
        got = await answer(
            engine,
            GenerationRequest(
                prompt=context,
                sampler=hidden.sampler or sampler,
                seed=hidden.seed or HEADER.seed,
                max_tokens=tokens,
                conversation="test",
                first_position=position,
            ),
        )
        text = Prompt(new, continues=number > 0).text()
        entries += [
            Entry(Kind.PROMPT, shown, text),
            Entry(Kind.COMPLETION, got.tokens, got.text, sampler),
        ]
        said.append(ChatMessage("assistant", got.text))
        context += got.tokens
        position += len(got.tokens)
    return (*entries, Entry(Kind.END))


def with_tokens(
    entries: Sequence[Entry], number: int, tokens: Sequence[int], engine: Engine
) -> tuple[Entry, ...]:
    """The transcript with other tokens, and their text, in an entry."""
    changed = list(entries)
    text = engine.vocabulary.detokenize(tuple(tokens))
    changed[number] = replace(entries[number], tokens=tuple(tokens), text=text)
    return tuple(changed)


def requantised(folder: Path, source: Path) -> Path:
    """The model in 4 bits without an offset per block, by llama.cpp's own quantiser."""
    import ctypes

    import llama_cpp

    path = folder / "requantised.gguf"
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    parameters.allow_requantize = True
    status = llama_cpp.llama_model_quantize(
        str(source).encode(), str(path).encode(), ctypes.byref(parameters)
    )
    assert status == 0
    return path
