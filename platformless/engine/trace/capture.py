"""Runs a transcript through the model as one prompt, and hands out what every node computed.

llama.cpp asks for each tensor of its graph whether somebody wants it (`cb_eval`), and stops after
those that are wanted. Stopping changes no bit (measured, and tested). A last token that would be
computed alone gets a throw-away companion, since one token takes other kernels than several; rows
of later tokens change nothing in those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
import numpy as np

from ...protocol.trace.nodes import ModelShape, Node
from ...protocol.trace.settings import TraceSettings
from ..errors import ContextNotCreated, DecodingFailed
from ..model import Model, last_complaints
from .errors import TokensNotTraceable, TraceFailed
from .supported import require_traceable_settings, require_whole_vectors, traceable_shape
from .tensor import Rows, Tensor, operation, require_readable, rows_of, tensor_at

_CONTEXT_STEP = 256
_NODES = {
    (b"embd", b"GET_ROWS"): Node.EMBEDDING,
    (b"attn_norm", b"MUL"): Node.ATTN_NORM,
    (b"Qcur", b"MUL_MAT"): Node.Q,
    (b"Kcur", b"MUL_MAT"): Node.K,
    (b"Vcur", b"MUL_MAT"): Node.V,
    (b"Qcur", b"ROPE"): Node.Q_ROPE,
    (b"Kcur", b"ROPE"): Node.K_ROPE,
    (b"kq", b"MUL_MAT"): Node.KQ,
    (b"kq_soft_max", b"SOFT_MAX"): Node.SOFTMAX,
    (b"kqv_out", b"CONT"): Node.KQV,
    (b"attn_out", b"MUL_MAT"): Node.ATTN_OUT,
    (b"ffn_inp", b"ADD"): Node.FFN_INPUT,
    (b"ffn_norm", b"MUL"): Node.FFN_NORM,
    (b"ffn_gate", b"MUL_MAT"): Node.FFN_GATE,
    (b"ffn_up", b"MUL_MAT"): Node.FFN_UP,
    (b"ffn_swiglu", b"GLU"): Node.FFN_SWIGLU,
    (b"ffn_out", b"MUL_MAT"): Node.FFN_OUT,
    (b"l_out", b"ADD"): Node.LAYER_OUT,
    (b"result_norm", b"MUL"): Node.RESULT_NORM,
    (b"result_output", b"MUL_MAT"): Node.LOGITS,
}
"""By the graph's name, without the layer, and operation: names alone are not unique."""


@dataclass(frozen=True, slots=True)
class NodeRows:
    """What one node computed for consecutive positions."""

    node: Node
    layer: int
    """0 where a node is in no layer."""
    first_position: int
    values: Rows
    """f32 [positions, values]; of causal nodes [positions, heads, cells], of which the row of
    position p holds the first p + 1 cells of each head. Valid while the sink runs."""

    @property
    def positions(self) -> range:
        return range(self.first_position, self.first_position + len(self.values))

    def row(self, position: int) -> Rows:
        """The values that the node has at a position: f32 [values], or [heads, p + 1]."""
        row: Rows = self.values[position - self.first_position]
        return row[:, : position + 1] if self.node.causal else row


Sink = Callable[[NodeRows], None]
"""Is given a node's rows as they are computed. What it raises ends the run."""


def capture(model: Model, tokens: Sequence[int], settings: TraceSettings, sink: Sink) -> None:
    """Runs `tokens` through the model and hands every node's rows to `sink`: all positions of a
    chunk for one node after another, then those of the next chunk.

    Raises:
        ModelNotTraceable, SettingsNotTraceable, BuildNotTraceable, TokensNotTraceable: before
            anything is computed.
        ContextNotCreated, DecodingFailed, TraceFailed: when llama.cpp fails.
    """
    shape = traceable_shape(model.header)
    require_traceable_settings(settings)
    require_whole_vectors(shape, settings)
    _require_tokens(model, tokens)
    run = _Run(model, shape, len(tokens), settings, sink)
    try:
        for start in range(0, len(tokens), settings.ubatch_tokens):
            run.decode(tokens[start : start + settings.ubatch_tokens], start)
    finally:
        run.close()


def captured_rows(
    model: Model, tokens: Sequence[int], settings: TraceSettings
) -> Iterator[tuple[int, Node, int, Rows]]:
    """Every row, copied, as (position, node, layer, values): for studies and tests, as it holds
    the whole trace in memory."""
    kept: list[NodeRows] = []
    capture(
        model,
        tokens,
        settings,
        lambda got: kept.append(
            NodeRows(got.node, got.layer, got.first_position, np.array(got.values))
        ),
    )
    for one in kept:
        for position in one.positions:
            yield position, one.node, one.layer, one.row(position)


def _require_tokens(model: Model, tokens: Sequence[int]) -> None:
    if not 0 < len(tokens) <= model.trained_context:
        raise TokensNotTraceable(
            "this many tokens cannot be traced",
            expected=f"1 to {model.trained_context} tokens",
            got=f"{len(tokens)} tokens",
        )
    for token in tokens:
        if not 0 <= token < model.vocabulary.size:
            raise TokensNotTraceable(
                "a token outside the vocabulary",
                expected=f"0 to {model.vocabulary.size - 1}",
                got=token,
            )


class _Run:
    """A context of llama.cpp whose graph is watched. Used by one thread."""

    def __init__(
        self, model: Model, shape: ModelShape, tokens: int, settings: TraceSettings, sink: Sink
    ) -> None:
        self._shape = shape
        self._sink = sink
        self._names: dict[tuple[bytes, int], tuple[Node, int] | None] = {}
        self._start, self._count = 0, 0
        self._seen = 0
        self._failure: BaseException | None = None
        self._watch = llama_cpp.ggml_backend_sched_eval_callback(self._evaluated)
        parameters = llama_cpp.llama_context_default_params()
        # One more than the tokens: a companion for a last token that would be alone.
        parameters.n_ctx = -(-(tokens + 1) // _CONTEXT_STEP) * _CONTEXT_STEP
        parameters.n_batch = parameters.n_ubatch = settings.ubatch_tokens
        parameters.n_seq_max = 1
        parameters.n_threads = parameters.n_threads_batch = settings.threads
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F16
        parameters.offload_kqv = parameters.op_offload = False
        parameters.no_perf = True
        parameters.cb_eval = self._watch
        last_complaints.clear()
        self._handle: Any = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._handle:
            raise ContextNotCreated(
                "llama.cpp cannot set up the context",
                expected=f"{parameters.n_ctx} tokens",
                got="; ".join(last_complaints) or None,
            )
        self._batch = llama_cpp.llama_batch_init(settings.ubatch_tokens, 0, 1)

    def decode(self, tokens: Sequence[int], start: int) -> None:
        """Computes consecutive tokens; the sink gets their rows meanwhile."""
        self._start, self._count, self._seen = start, len(tokens), 0
        given = (*tokens, *tokens) if len(tokens) == 1 else tokens
        for row, token in enumerate(given):
            self._batch.token[row] = token
            self._batch.pos[row] = start + row
            self._batch.n_seq_id[row] = 1
            self._batch.seq_id[row][0] = 0
            self._batch.logits[row] = True
        self._batch.n_tokens = len(given)
        status = llama_cpp.llama_decode(self._handle, self._batch)
        if self._failure is not None:
            raise self._failure
        if status != 0:
            raise DecodingFailed(
                "llama.cpp failed to decode", got="; ".join((f"status {status}", *last_complaints))
            )
        expected = self._shape.layers * sum(n.in_layers for n in _NODES.values())
        expected += sum(not n.in_layers for n in _NODES.values())
        if self._seen != expected:
            raise TraceFailed(
                "the graph of llama.cpp has other nodes", expected=expected, got=self._seen
            )

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._handle)

    def _evaluated(self, pointer: int, ask: bool, _user_data: object) -> bool:
        """Whether a node is wanted; then, when it was computed, whether to go on."""
        try:
            tensor = tensor_at(pointer)
            key = (tensor.name, tensor.op)
            if key not in self._names:
                self._names[key] = _node_of(*key)
            wanted = self._names[key]
            if ask or wanted is None:
                return wanted is not None
            self._hand_out(*wanted, tensor)
        except BaseException as error:
            # ctypes would print it and go on: it is raised when llama.cpp returns.
            self._failure = self._failure or error
            return False
        return True

    def _hand_out(self, node: Node, layer: int, tensor: Tensor) -> None:
        require_readable(tensor)
        if node.causal:
            values = rows_of(tensor, 3).transpose(1, 0, 2)  # ggml has the heads outside
        elif node in (Node.Q_ROPE, Node.K_ROPE):
            values = rows_of(tensor, 3)
            values = values.reshape(len(values), -1)
        else:
            values = rows_of(tensor, 2)
        width = self._shape.width(node)
        if layer >= self._shape.layers or values.shape[1] != width:
            raise TraceFailed(
                "a node of llama.cpp has another shape",
                expected=f"{width} values",
                got=f"{values.shape[1:]} in layer {layer}",
            )
        self._seen += 1
        self._sink(NodeRows(node, layer, self._start, values[: self._count]))


def _node_of(name: bytes, op: int) -> tuple[Node, int] | None:
    base, dash, layer = name.rpartition(b"-")
    if not dash or not layer.isdigit():
        base, layer = name, b"0"
    node = _NODES.get((base, operation(op)))
    return None if node is None else (node, int(layer))
