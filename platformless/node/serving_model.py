"""Which model a node serves: how its file is run, and what the registry calls it."""

from __future__ import annotations

import asyncio
import logging

from ..chain.connection import Chain
from ..chain.model_registry import ModelRegistry, RegisteredModel
from ..engine.engine import Engine
from ..engine.model import offloads_to_gpu
from ..engine.settings import EngineSettings
from ..protocol.digests import ModelId
from .errors import ModelNotRegistered
from .server.status import ServedModel
from .settings import NodeSettings

log = logging.getLogger(__name__)


def engine_settings(settings: NodeSettings) -> EngineSettings:
    """How the model is run. Layers go to a GPU only where llama.cpp was built for one."""
    layers = settings.gpu_layers if offloads_to_gpu() else 0
    if settings.engine_exact_replay and layers:
        log.warning("ENGINE_EXACT_REPLAY: GPU_LAYERS is passed over")
        layers = 0
    elif settings.gpu_layers and not layers:
        log.info("this build of llama.cpp uses no GPU: GPU_LAYERS is passed over")
    exact = not layers if settings.engine_exact_replay is None else settings.engine_exact_replay
    return EngineSettings(
        model_path=settings.model_path,
        gpu_layers=layers,
        sequences=settings.engine_sequences,
        context_tokens=settings.context_tokens,
        threads=settings.engine_threads,
        lone_threads=1 if exact else 0,
        flash_attention=exact,
    )


async def served_models(chain: Chain, engine: Engine) -> tuple[ServedModel, ...]:
    """The models on chain that are this file.

    Raises:
        ModelNotRegistered: when there is none.
    """
    registry = ModelRegistry(chain)
    ids = await registry.all_models()
    models = await asyncio.gather(*(registry.model(model_id) for model_id in ids))
    served = tuple(
        _model(model_id, model, engine)
        for model_id, model in zip(ids, models, strict=True)
        if model is not None and model.file.file_hash.value == engine.weights.file_sha256
    )
    if not served:
        raise ModelNotRegistered(
            "the model file is in no model registry entry of this chain",
            expected=f"an entry with SHA-256 {engine.weights.file_sha256.hex()}",
            got=f"{len(ids)} entries with others",
        )
    return served


def _model(model_id: ModelId, model: RegisteredModel, engine: Engine) -> ServedModel:
    if not model.approved:
        log.warning("model %s is registered, but no longer approved", model.file.file_name)
    return ServedModel(
        model_id,
        model.file.repository,
        model.file.file_name,
        engine.context_size,
        engine.weights.root,
    )
