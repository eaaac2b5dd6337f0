"""`fabstir-llm-node model-info`: what a model file is called, here and on chain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..chain.model_registry import FileHash, ModelFile
from ..console import Output
from ..engine.gguf_header import GgufHeader, read_header
from ..engine.weights import Weights, weights_of
from ..protocol.digests import ModelId


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The names of a model file, and what its header says of it."""

    path: Path
    weights: Weights
    repository: str | None
    """Where it was published, like `owner/name`; half of the name on chain."""
    architecture: str | None
    trained_context: int | None
    """Tokens."""
    has_chat_template: bool

    @property
    def model_id(self) -> ModelId | None:
        """The name on chain; None without a repository."""
        if self.repository is None:
            return None
        digest = FileHash(self.weights.file_sha256)
        return ModelFile(self.repository, self.path.name, digest).id


def read_model_info(path: Path, repository: str | None = None) -> ModelInfo:
    """Reads and hashes the file; seconds for gigabytes, unless it was seen before.

    Raises:
        ModelNotFound, ModelUnreadable, NotGguf: see there.
    """
    header = read_header(path)
    architecture = header.text("general.architecture")
    return ModelInfo(
        path=path,
        weights=weights_of(path),
        repository=repository,
        architecture=architecture,
        trained_context=_trained_context(header, architecture),
        has_chat_template=header.text("tokenizer.chat_template") is not None,
    )


def show_model_info(output: Output, path: Path, repository: str | None = None) -> ModelInfo:
    """Prints the names of a model file.

    Raises:
        ModelNotFound, ModelUnreadable, NotGguf: see there.
    """
    info = read_model_info(path, repository)
    weights, model_id = info.weights, info.model_id
    if output.as_json:
        output.json(
            "done",
            file=info.path.name,
            file_bytes=weights.file_bytes,
            file_sha256=f"0x{weights.file_sha256.hex()}",
            weights_root=str(weights.root),
            tensors=weights.tensors,
            rows=weights.rows,
            repository=info.repository,
            model_id=None if model_id is None else str(model_id),
            architecture=info.architecture,
            trained_context=info.trained_context,
            has_chat_template=info.has_chat_template,
        )
        return info
    rows = {
        "file": f"{info.path.name}, {weights.file_bytes:,} bytes",
        "architecture": info.architecture or "not said",
        "context": "not said" if info.trained_context is None else f"{info.trained_context:,}",
        "chat template": "yes" if info.has_chat_template else "no",
        "SHA-256": f"0x{weights.file_sha256.hex()}",
        "weights root": f"{weights.root}  ({weights.rows:,} rows of {weights.tensors} tensors)",
        "model id": str(model_id or "name the repository to see it: --repository OWNER/NAME"),
    }
    for name, value in rows.items():
        output.line(f"{name:<16}{value}")
    return info


def _trained_context(header: GgufHeader, architecture: str | None) -> int | None:
    value = header.properties.get(f"{architecture}.context_length")
    return value if isinstance(value, int) else None
