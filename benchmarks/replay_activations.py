"""Last hidden states of transcripts, as a host has them and as an auditor: for `replay_toploc`.

Written as `.npy`, float32, one row a token: `NUMBER-host.npy` decoded one token at a time by the
host's model, `NUMBER-auditor.npy` as a prompt by the true one; `cases.json` has what they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

from platformless.engine.context import Context
from platformless.engine.model import Model, packaged_model
from platformless.engine.replay_plan import contexts_of
from platformless.engine.settings import EngineSettings

from .replay_cases import Attack
from .replay_hosts import Host, Recorded

_Rows = npt.NDArray[np.float32]


class HiddenStates:
    """A model whose last hidden states (after its final norm) can be had."""

    def __init__(self, settings: EngineSettings) -> None:
        self._model = Model.load(settings)
        self._settings = settings
        self._width = llama_cpp.llama_model_n_embd(self._model.handle)

    def of(self, tokens: Sequence[int], decoded_alone_from: int) -> _Rows:
        """One row a token; from the named one on, tokens are decoded one at a time."""
        context = Context(self._model, self._settings)
        handle: Any = context._handle
        llama_cpp.llama_set_embeddings(handle, True)
        rows = []
        chunk, start = self._settings.chunk, 0
        while start < len(tokens):
            size = 1 if start >= decoded_alone_from else min(chunk, decoded_alone_from - start)
            part = tokens[start : start + size]
            context.decode_marked(0, part, start, [True] * len(part))
            for row in range(len(part)):
                pointer = llama_cpp.llama_get_embeddings_ith(handle, row)
                rows.append(np.ctypeslib.as_array(pointer, (self._width,)).copy())
            start += len(part)
        context.close()
        return np.array(rows, np.float32)

    def close(self) -> None:
        self._model.close()


def write(folder: Path, cases: Sequence[tuple[Attack, Sequence[Recorded]]]) -> None:
    """The first turn of each transcript. What a cheat changed in the transcript, its host has
    decoded as changed; with another system prompt, it has decoded that."""
    folder.mkdir(parents=True, exist_ok=True)
    auditor = HiddenStates(_settings(Host("auditor", str(packaged_model()))))
    described: list[dict[str, Any]] = []
    for case, recorded in cases:
        host = HiddenStates(_settings(case.host))
        for one in recorded:
            (context, *_) = contexts_of(one.entries[:2])
            answer = context.answers[0]
            number = len(described)
            hidden = _hidden_prompt(one, host) or context.tokens[: answer.start]
            said = context.tokens[answer.start :]
            np.save(
                folder / f"{number}-host.npy",
                host.of((*hidden, *said), len(hidden))[len(hidden) - 1 :],
            )
            np.save(
                folder / f"{number}-auditor.npy",
                auditor.of(context.tokens, len(context.tokens))[answer.start - 1 :],
            )
            described.append({"name": case.name, "number": number, "tokens": len(said)})
        host.close()
    auditor.close()
    (folder / "cases.json").write_text(json.dumps(described) + "\n")


def _hidden_prompt(one: Recorded, host: HiddenStates) -> tuple[int, ...] | None:
    from platformless.engine.chat import ChatFormat
    from platformless.protocol.prompt import ChatMessage, Prompt

    if one.session.hidden_system is None:
        return None
    chat = ChatFormat(host._model.vocabulary, host._model.chat_template)
    asked = Prompt.read(one.entries[0].text).messages[-1]
    return chat.opening([ChatMessage("system", one.session.hidden_system), asked])


def _settings(host: Host) -> EngineSettings:
    settings = EngineSettings(
        model_path=Path(host.model), sequences=1, context_tokens=1024, threads=1
    )
    return replace(settings, flash_attention=host.flash_attention, prompt_chunk_tokens=512)
