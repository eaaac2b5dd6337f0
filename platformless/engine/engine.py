"""The engine: a model that answers several requests at once.

    async with await Engine.load(EngineSettings(model_path=path)) as engine:
        async with engine.generate(GenerationRequest(prompt=tokens)) as generation:
            async for step in generation:
                ...

One thread decodes; event loops hand it requests and read steps, and are never blocked by it.

What can be relied on, with the settings' defaults on the CPU:

- A request without a conversation gives the same tokens whenever it is made, whatever runs beside
  it: the logits are the same bits (`context` says why; a test compares them). The number of
  threads and the prompt's chunks do not matter either.
- A request that continues a conversation reuses keys and values that were computed when its
  tokens were generated, one at a time. The same tokens decoded as one prompt give logits that
  differ a little (a few tenths, at most 1.6 seen), so that an answer may take another turn after
  an eviction.
- With flash attention, one thread for lone tokens (`lone_threads`) and chunks under 64 tokens,
  even that difference is gone, whatever the number of other threads: this is how a node runs
  it. With flash attention and several threads for lone tokens, logits depend on the company
  from 256 tokens of context on.
- With layers on the GPU, another processor or another build of llama.cpp, logits differ in the
  same manner as between generated and prompt tokens, and none of the above is promised.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from ..protocol.engine_record import EngineRecord
from .build import llama_build
from .context import Context
from .decoder import Decoder
from .errors import PromptNotUsable, RequestError, TokenLimitExceeded
from .generation import Exchange, Generation
from .model import Model, Vocabulary
from .request import GenerationRequest
from .sampling import check_sampler
from .settings import EngineSettings
from .weights import Weights, weights_of

log = logging.getLogger(__name__)
THREAD_NAME = "platformless-decoder"


class Engine:
    """A loaded model with its decoding thread. `generate` belongs to an event loop; the rest may
    be called from anywhere."""

    def __init__(self, model: Model, context: Context, settings: EngineSettings, weights: Weights):
        self.settings = settings
        self.weights = weights
        """What the model's bytes are called."""
        self.context_size = context.context_size
        """Tokens that prompt and answer have together."""
        self._model = model
        self._context = context
        self._exchange = Exchange(settings.sequences, settings.waiting_requests)
        decoder = Decoder(model, context, settings, self._exchange)
        self._thread = threading.Thread(target=decoder.run, name=THREAD_NAME, daemon=True)
        self._closing = threading.Lock()
        self._thread.start()

    @classmethod
    def open(cls, settings: EngineSettings | None = None) -> Self:
        """Loads the model; takes seconds, see `load` for event loops.

        Raises:
            ModelError: when the model cannot be used.
        """
        settings = settings or EngineSettings()
        model = Model.load(settings)
        try:
            with ThreadPoolExecutor(1) as pool:
                hashing = pool.submit(weights_of, model.path)
                context = Context(model, settings)
                try:
                    weights = hashing.result()
                except BaseException:
                    context.close()
                    raise
        except BaseException:
            model.close()
            raise
        log.info("model %s has weights root %s", model.path.name, weights.root)
        return cls(model, context, settings, weights)

    @classmethod
    async def load(cls, settings: EngineSettings | None = None) -> Self:
        """`open`, without blocking the event loop."""
        return await asyncio.to_thread(cls.open, settings)

    @property
    def record(self) -> EngineRecord:
        """What a replay must know of the settings."""
        settings = self.settings
        return EngineRecord(
            llama_cpp=llama_build(),
            gpu_layers=max(settings.gpu_layers, -1),
            threads=settings.lone_thread_count,
            batch_tokens=settings.batch_tokens,
            sequences=settings.sequences,
            kv_type=settings.kv_type.value,
            flash_attention=settings.flash_attention,
        )

    @property
    def vocabulary(self) -> Vocabulary:
        return self._model.vocabulary

    @property
    def chat_template(self) -> str | None:
        return self._model.chat_template

    @property
    def is_running(self) -> bool:
        """Whether the decoding thread is at work."""
        return self._thread.is_alive()

    @property
    def running(self) -> int:
        """Generations that have a sequence."""
        return self._exchange.running

    @property
    def waiting(self) -> int:
        """Generations in line."""
        return self._exchange.waiting

    def generate(self, request: GenerationRequest) -> Generation:
        """Starts an answer, or puts the request in line.

        Raises:
            TokenLimitExceeded: when the prompt leaves no room for an answer.
            RequestError: when the request is otherwise unusable, or too many wait.
            EngineClosed: after `close`.
        """
        self._check(request)
        generation = Generation(request, self._exchange, self.settings.unread_tokens)
        self._exchange.join(generation)
        return generation

    def close(self) -> None:
        """Ends all generations with `EngineClosed` and frees the model; waits for the thread."""
        with self._exchange.changed:
            self._exchange.closing = True
            self._exchange.changed.notify_all()
        with self._closing:
            self._thread.join()
            self._context.close()
            self._model.close()

    async def aclose(self) -> None:
        """`close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check(self, request: GenerationRequest) -> None:
        size = len(request.prompt)
        if size == 0:
            raise PromptNotUsable("the prompt has no tokens")
        if size >= self.context_size:
            raise TokenLimitExceeded(size, self.context_size)
        last = self.vocabulary.size - 1
        smallest, largest = min(request.prompt), max(request.prompt)
        if smallest < 0 or largest > last:
            raise PromptNotUsable(
                "a token outside the vocabulary",
                expected=f"0 to {last}",
                got=largest if largest > last else smallest,
            )
        if request.max_tokens is not None and request.max_tokens < 1:
            raise RequestError(
                "max_tokens too small", expected="at least 1", got=request.max_tokens
            )
        check_sampler(request.sampler)
