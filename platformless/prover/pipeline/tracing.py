"""The model of a worker that traces: roots of contexts, and rows opened for sample proofs.

Runs of the model take the processor for seconds to minutes. They run in a thread, one at a time; a
step that is cancelled ends its run at the next node.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from ...closing import AsyncClosing
from ...engine.model import Model
from ...engine.settings import EngineSettings
from ...engine.trace.facts import model_facts
from ...engine.trace.supported import (
    require_traceable_settings,
    require_whole_vectors,
    traceable_settings,
)
from ...engine.trace.tracing import Watch, trace
from ...engine.weights import weights_of
from ...engine.weights_opening import WeightsTree
from ...protocol.digests import TraceRoot, WeightsRoot
from ...protocol.sample.context import Context
from ...protocol.sample.plan import MAX_POSITIONS
from ...protocol.sample.witness import Sampling
from ...protocol.trace.challenge import Beacon
from ...protocol.trace.nodes import ModelShape
from ...protocol.trace.settings import TraceSettings
from ..sample import PlanOf, make_witness, sampling_of
from .errors import ContextTooLong, ForeignModel
from .trace_pace import TracePace

_Made = TypeVar("_Made")


class TraceStopped(Exception):
    """The step that wanted it was cancelled."""


class Tracer(AsyncClosing):
    """Traces contexts with one model."""

    def __init__(
        self, model: Model, root: WeightsRoot, shape: ModelShape, settings: TraceSettings
    ) -> None:
        """For `open`."""
        self._model = model
        self.weights_root = root
        """Of its file."""
        self._settings = settings
        self._tree: WeightsTree | None = None
        self._turn = asyncio.Lock()
        self._pace = TracePace(shape, model.path.stat().st_size)

    @classmethod
    async def open(cls, path: Path | None, *, threads: int = 0) -> Self:
        """Reads the model; the first time, its file is hashed.

        Args:
            path: None: the packaged test model.
            threads: of llama.cpp; 0: one a core.

        Raises:
            ModelError: when the file cannot be used.
            TraceRefused, FactsInvalid: when this model, or llama.cpp, cannot be traced.
        """
        settings = traceable_settings(threads=threads)
        require_traceable_settings(settings)

        def load() -> tuple[Model, WeightsRoot, ModelShape]:
            model = Model.load(EngineSettings(model_path=path, threads=threads))
            try:
                shape = model_facts(model.header).shape
                require_whole_vectors(shape, settings)
                return model, weights_of(model.path).root, shape
            except BaseException:
                model.close()
                raise

        return cls(*await asyncio.to_thread(load), settings)

    async def close(self) -> None:
        async with self._turn:
            self._model.close()

    def expected_seconds(self, tokens: int) -> float:
        """How long a trace of so many tokens should take where nothing slows it down."""
        return self._pace.expected_seconds(tokens)

    async def root(self, context: Context) -> TraceRoot:
        """Commits to what the model computes for a context.

        Raises:
            ForeignModel, ContextTooLong: before anything is computed.
            EngineError
        """
        self._require_usable(context)

        def run(watch: Watch) -> TraceRoot:
            began, tokens = time.monotonic(), context.tokens
            made = trace(self._model, tokens, self._settings, watch)
            self._pace.took(len(tokens), time.monotonic() - began)
            return made.root

        return await self._run(run)

    def sampling(
        self, context: Context, root: TraceRoot, number: int, beacon: Beacon, plan_of: PlanOf
    ) -> Sampling:
        """What a beacon asks of a context's trace.

        Raises:
            ForeignModel, ContextTooLong
        """
        self._require_usable(context)
        plan = plan_of(len(context.tokens))
        return sampling_of(self._model, context, root, self._settings, number, beacon, plan)

    async def witness(self, sampling: Sampling) -> bytes:
        """Runs the context again and opens what was drawn.

        Raises:
            TraceNotRepeated: when this run has another root.
            ForeignModel: when the model's file was exchanged since it was loaded.
            EngineError
        """

        def run(watch: Watch) -> bytes:
            if self._tree is None:
                self._tree = self._weights_tree(watch)
            return make_witness(self._model, self._tree, sampling, watch)

        return await self._run(run)

    def _weights_tree(self, watch: Watch) -> WeightsTree:
        """llama.cpp goes on with the file that it opened; rows are read from the one that is there
        now."""
        tree = WeightsTree(self._model.path, self._model.header, watch)
        if tree.root != self.weights_root:
            raise ForeignModel(
                f"{self._model.path} is another file than the one that was loaded",
                expected=self.weights_root,
                got=tree.root,
            )
        return tree

    def _require_usable(self, context: Context) -> None:
        weights_root = context.header.terms.weights_root
        if weights_root != self.weights_root:
            raise ForeignModel(
                "this worker has another model than the session",
                expected=weights_root,
                got=self.weights_root,
            )
        if len(context.tokens) > MAX_POSITIONS:
            raise ContextTooLong(
                "a context that no sample proof can be of",
                expected=f"at most {MAX_POSITIONS} tokens",
                got=len(context.tokens),
            )

    async def _run(self, work: Callable[[Watch], _Made]) -> _Made:
        stopping = threading.Event()

        def watch() -> None:
            if stopping.is_set():
                raise TraceStopped

        async with self._turn:
            running = asyncio.ensure_future(asyncio.to_thread(work, watch))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                stopping.set()
                await asyncio.wait({running})  # the model must not be closed under it
                if not running.cancelled():
                    running.exception()
                raise
