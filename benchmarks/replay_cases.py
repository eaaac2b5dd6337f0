"""Whose transcripts `benchmarks.replay` replays: honest hosts in many setups, and cheating ones."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from platformless.engine.model import Vocabulary, packaged_model
from platformless.protocol.transcript import Entry, Kind, Sampler

from .replay_hosts import Host, Recorded, Session

GREEDY = Sampler()
USUAL = Sampler(temperature=0.7, top_k=40, top_p=0.95, min_p=0.05)
"""What the node draws with unless it is asked for something else."""
PENALISED = Sampler(
    temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.1, repeat_last_n=64
)
OPEN = Sampler(temperature=1.0)
"""No cut at all."""
SAMPLERS = {"greedy": GREEDY, "T 0.7": USUAL, "T 0.8, penalty": PENALISED, "T 1.0": OPEN}
QUANTISATIONS = {"Q2_K": 10, "Q3_K_M": 12, "Q4_0": 2, "Q4_K_M": 15, "Q5_1": 9, "Q8_0": 7}
"""llama.cpp's file types."""
HIDDEN_SYSTEM = "You are a helpful assistant. Mention ACME products in a good light."
_TOPICS = (
    "a lighthouse keeper on a stormy night",
    "how bread is made",
    "the history of the telescope",
    "a walk through an old town",
    "why the sky is blue",
    "training for a first marathon",
    "a dragon who is afraid of mice",
    "how a computer stores numbers",
    "growing tomatoes on a balcony",
    "the invention of the printing press",
    "a letter to a friend who moved away",
    "how vaccines work",
    "the rules of chess",
    "a detective who lost his hat",
    "planning a trip to Norway",
    "what makes a good teacher",
)
_ASKED = ("Tell me about {}.", "Write a short story or essay about {}.", "Explain {} to a child.")
_THEN = ("Go on, with more detail.", "What else should I know?", "Summarise that in a few lines.")


def seed_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def session(
    number: int, sampler: Sampler, purpose: str, turns: int = 2, tokens: int = 150
) -> Session:
    """Another question for each number; another seed for each number and purpose."""
    shift = 0 if purpose == "calibration" else len(_TOPICS) // 2
    topic = _TOPICS[(number + shift) % len(_TOPICS)]
    asked = _ASKED[(number + shift) % len(_ASKED)].format(topic)
    then = [_THEN[(number + turn) % len(_THEN)] for turn in range(turns - 1)]
    return Session(seed_of(f"{purpose} {number}"), asdict(sampler), [asked, *then], tokens)


EXACT_HOST = Host("exact", str(packaged_model()), flash_attention=True)


def honest_hosts(other_build: Path | None) -> list[Host]:
    """Setups whose logits a replay does not have bit for bit."""
    model = str(packaged_model())
    hosts = [
        Host("no flash attention, 2 threads, company", model, threads=2),
        Host("no flash attention, alone, prompts by 64", model, chunk=64, company=1),
        Host("no flash attention, history decoded anew", model, forgets=True),
        Host("flash attention, 2 threads", model, flash_attention=True, threads=2, company=1),
        Host("flash attention, prompts by 256", model, flash_attention=True, chunk=256),
        Host("q8_0 cache, 2 threads", model, flash_attention=True, threads=2, kv_type="q8_0"),
    ]
    if other_build is not None:
        hosts += [
            Host("AVX2 build", model, build=str(other_build)),
            Host(
                "AVX2 build, flash attention", model, flash_attention=True, build=str(other_build)
            ),
        ]
    return hosts


@dataclass(frozen=True)
class Attack:
    """A host that does other than its transcript says."""

    name: str
    sampler: Sampler
    host: Host
    sessions: list[Session]
    change: Callable[[Recorded, Vocabulary], Recorded]
    """What is done to the transcript afterwards."""


def quantised(kind: str, folder: Path) -> Path:
    """The packaged model, quantised once more by llama.cpp."""
    import llama_cpp

    path = folder / f"{kind}.gguf"
    if not path.exists():
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype = QUANTISATIONS[kind]
        parameters.allow_requantize = True
        source = str(packaged_model()).encode()
        status = llama_cpp.llama_model_quantize(
            source, str(path).encode(), ctypes.byref(parameters)
        )
        assert status == 0
    return path


def attacks(count: int, folder: Path, stranger: Path | None, tokens: int) -> list[Attack]:
    """`count` transcripts of each, greedy and drawn."""
    found: list[Attack] = []
    for name, sampler in (("greedy", GREEDY), ("T 0.7", USUAL)):
        asked = [session(number, sampler, f"attack {name}", 2, tokens) for number in range(count)]

        def add(
            what: str,
            host: Host = EXACT_HOST,
            sessions: list[Session] = asked,
            change: Callable[[Recorded, Vocabulary], Recorded] = _as_it_is,
            sampler: Sampler = sampler,
        ) -> None:
            found.append(Attack(what, sampler, host, sessions, change))

        add("none (honest)")
        for kind in QUANTISATIONS:
            add(f"{kind} instead of Q4_1", replace(EXACT_HOST, model=str(quantised(kind, folder))))
        add(
            "a system prompt that is not shown",
            sessions=[replace(one, hidden_system=HIDDEN_SYSTEM) for one in asked],
        )
        add("one token in 100 exchanged", change=exchange_some)
        add("one token exchanged", change=exchange_one)
        add("padded with 40 tokens of another answer", change=pad)
        if stranger is not None:
            add("another model (Gemma 3 270M)", replace(EXACT_HOST, model=str(stranger)),
                [replace(one, system="") for one in asked], retokenise)  # fmt: skip
        if sampler.temperature:
            for real in (0.8, 1.0):
                drawn = asdict(replace(sampler, temperature=real))
                add(
                    f"drawn with T {real}, 0.7 recorded",
                    sessions=[replace(one, sampler=drawn) for one in asked],
                    change=lambda one, _vocabulary: _resampled(one, USUAL),
                )
            add(
                "another seed",
                sessions=[replace(one, seed=seed_of(one.seed)) for one in asked],
                change=lambda one, _vocabulary: replace(
                    one, session=replace(one.session, seed=seed_of("the recorded one"))
                ),
            )
    return found


def _as_it_is(one: Recorded, _vocabulary: Vocabulary) -> Recorded:
    return one


def _resampled(one: Recorded, sampler: Sampler) -> Recorded:
    return replace(
        one,
        entries=[
            replace(entry, sampler=sampler) if entry.kind is Kind.COMPLETION else entry
            for entry in one.entries
        ],
    )


def exchange_some(one: Recorded, vocabulary: Vocabulary, every: int = 100) -> Recorded:
    """Every hundredth token becomes another word, from the 50th on."""
    changed, seen = [], 0
    for entry in one.entries:
        tokens = list(entry.tokens)
        if entry.kind is Kind.COMPLETION:
            for at in range(len(tokens)):
                if (seen + at) % every == every // 2:
                    tokens[at] = _other(tokens[at], vocabulary)
            seen += len(tokens)
            entry = _spelled(entry, tokens, vocabulary)
        changed.append(entry)
    return replace(one, entries=changed)


def exchange_one(one: Recorded, vocabulary: Vocabulary) -> Recorded:
    return exchange_some(one, vocabulary, every=100_000 if one.tokens < 100 else one.tokens)


def pad(one: Recorded, vocabulary: Vocabulary) -> Recorded:
    """The last answer gets the first one's first tokens behind its own."""
    answers = [entry for entry in one.entries if entry.kind is Kind.COMPLETION]
    last = answers[-1]
    longer = _spelled(last, [*last.tokens, *answers[0].tokens[:40]], vocabulary)
    return replace(one, entries=[longer if entry is last else entry for entry in one.entries])


def retokenise(one: Recorded, vocabulary: Vocabulary) -> Recorded:
    """A stranger's text in the model's own tokens."""
    from platformless.engine.chat import ChatFormat
    from platformless.engine.gguf_header import read_header
    from platformless.protocol.prompt import ChatMessage, Prompt

    template = read_header(packaged_model()).text("tokenizer.chat_template")
    chat = ChatFormat(vocabulary, template)
    entries: list[Entry] = []
    messages: list[ChatMessage] = []
    for entry in one.entries:
        if entry.kind is Kind.PROMPT:
            prompt = Prompt.read(entry.text)
            messages += prompt.messages
            make = chat.continuation if prompt.continues else chat.opening
            entries.append(replace(entry, tokens=make(messages)))
        else:
            messages.append(ChatMessage("assistant", entry.text))
            entries.append(replace(entry, tokens=vocabulary.tokenize(entry.text)))
    return replace(one, entries=entries)


def _other(token: int, vocabulary: Vocabulary) -> int:
    """A common word that it is not."""
    words = [vocabulary.tokenize(word)[0] for word in (" never", " always")]
    return next(word for word in words if word != token)


def _spelled(entry: Entry, tokens: list[int], vocabulary: Vocabulary) -> Entry:
    return replace(entry, tokens=tuple(tokens), text=vocabulary.detokenize(tuple(tokens)))
