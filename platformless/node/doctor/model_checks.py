"""The model file: that it is one, which one it is, and whether it fits."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path

from ...chain.model_registry import RegisteredModel
from ...errors import PlatformlessError
from ..keys.errors import HostKeyError
from .architecture import complaint
from .finding import Finding, error, ok, skipped, warning
from .machine import Gpus, Space
from .shared import ChainOutOfReach, KeyOutOfReach, Subject

HASHING_SECONDS = 120.0
"""A file that is not hashed by then is not compared."""
_PIECE_BYTES = 16 << 20
_GIB = 1 << 30


async def check_model(subject: Subject) -> list[Finding]:
    """Whether the file is a GGUF that llama.cpp knows, and in ModelRegistry."""
    path = subject.settings.model_path
    try:
        if path is None:
            path = await asyncio.to_thread(_packaged)
        architecture = await asyncio.to_thread(_architecture, path)
    except PlatformlessError as problem:
        return [error("model", str(problem), problem.advice or "set MODEL_PATH to a GGUF file")]
    engine = await subject.engine()
    against = await complaint(path) if engine is not None and engine.build else None
    says = f"{path.name}, {architecture}, {path.stat().st_size / _GIB:.2f} GiB"
    if against is not None:
        advice = "serve another file, or install a newer llama.cpp"
        about = error("model", f"{says}: llama.cpp does not take it: {against}", advice)
    elif subject.settings.model_path is None:
        advice = "set MODEL_PATH to the model that this host shall serve"
        about = warning("model", f"MODEL_PATH is not set: the packaged test model {says}", advice)
    else:
        about = ok("model", says)
    return [about, await _registry(subject, path)]


def _packaged() -> Path:
    from ...engine.model import packaged_model

    return packaged_model()


def _architecture(path: Path) -> str:
    from ...engine.gguf_header import read_header

    return read_header(path).text("general.architecture") or "of no named architecture"


async def _registry(subject: Subject, path: Path) -> Finding:
    name = "model-registry"
    try:
        models = await subject.models()
    except ChainOutOfReach:
        return skipped(name, "the chain cannot be asked")
    digest = await _sha256(path)
    if digest is None:
        says = f"not hashed within {HASHING_SECONDS:.0f} s"
        return warning(name, says, f"fabstir-llm-node model-info {path}")
    same = [model for model in models if model.file.file_hash.value == digest]
    if not same:
        says = f"none of {len(models)} models there has this file's SHA-256 {digest.hex()}"
        advice = "serve a file that is in ModelRegistry: the node refuses any other (NOD-105)"
        return error(name, says, advice)
    approved = [model for model in same if model.approved]
    names = ", ".join(_name(model) for model in approved or same)
    if not approved:
        advice = "serve another model: clients choose approved ones"
        return warning(name, f"{names} is there, but no longer approved", advice)
    try:
        host = await subject.registered()
    except (KeyOutOfReach, HostKeyError):
        host = None
    if host is not None and not {model.file.id for model in approved} & set(host.models):
        advice = "list it: `fabstir-llm-node update-registration`"
        return error(name, f"{names} is approved, but not among the host's models", advice)
    return ok(name, f"{names}, approved")


def _name(model: RegisteredModel) -> str:
    return f"{model.file.repository}/{model.file.file_name}"


async def _sha256(path: Path) -> bytes | None:
    """None when it takes too long. Unlike `weights_of`, keeps nothing."""
    stopping = threading.Event()

    def hash_file() -> bytes | None:
        sha256 = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                if stopping.is_set():
                    return None
                sha256.update(piece)
        return sha256.digest()

    try:
        async with asyncio.timeout(HASHING_SECONDS):
            return await asyncio.to_thread(hash_file)
    except TimeoutError:
        return None
    finally:
        stopping.set()


async def check_model_memory(subject: Subject) -> list[Finding]:
    """Whether the weights fit where they are to be."""
    try:
        path = subject.settings.model_path
        if path is None:
            path = await asyncio.to_thread(_packaged)
        size = path.stat().st_size
    except (OSError, PlatformlessError):
        return [skipped("model-memory", "there is no model file")]
    gpus = await asyncio.to_thread(subject.machine.gpus)
    engine = await subject.engine()
    settings = subject.settings
    on_gpu = bool(
        engine
        and engine.uses_gpu
        and gpus.devices
        and settings.gpu_layers
        and not settings.engine_exact_replay
    )
    return [fits(size, _of_gpus(gpus) if on_gpu else subject.machine.memory(), on_gpu)]


def fits(size_bytes: int, space: Space, on_gpu: bool) -> Finding:
    """Whether so many bytes of weights fit. What contexts take comes on top."""
    what = "the GPUs" if on_gpu else "memory"
    says = f"{_gib(size_bytes)} of weights; {what}: {_gib(space.free_bytes)} of "
    says += f"{_gib(space.total_bytes)} free"
    if size_bytes > space.total_bytes:
        advice = "lower GPU_LAYERS, or serve a smaller quantisation"
        return error("model-memory", says, advice if on_gpu else "serve a smaller quantisation")
    if size_bytes > space.free_bytes:
        return warning("model-memory", says, "end what else uses it, unless that is this node")
    return ok("model-memory", says)


def _of_gpus(gpus: Gpus) -> Space:
    return Space(
        sum(gpu.memory.total_bytes for gpu in gpus.devices),
        sum(gpu.memory.free_bytes for gpu in gpus.devices),
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB"
