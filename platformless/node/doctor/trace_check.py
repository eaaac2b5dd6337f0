"""Where traces are made: whether they can be made of this model, by this llama.cpp."""

from __future__ import annotations

import asyncio

from ...errors import PlatformlessError
from ...protocol.sample.plan import COVERED_KINDS
from ..settings import NodeSettings
from .finding import Finding, error, ok, skipped
from .shared import Subject

_NAME = "trace"
_ADVICE = "serve a model that can be traced (docs/trace.md), or set TRACE=off"


async def check_trace(subject: Subject) -> list[Finding]:
    """Decided from the file's header and the installed build; nothing is computed."""
    settings = subject.settings
    if settings.trace == "off":
        return [skipped(_NAME, "TRACE is off")]
    engine = await subject.engine()
    if engine is None or not engine.build:
        return [skipped(_NAME, "llama.cpp must be right first")]
    return [await asyncio.to_thread(_traceable, settings)]


def _traceable(settings: NodeSettings) -> Finding:
    from ...engine.gguf_header import read_header
    from ...engine.model import packaged_model
    from ...engine.trace.facts import model_facts
    from ...engine.trace.supported import (
        require_traceable_settings,
        require_whole_vectors,
        traceable_settings,
    )

    try:
        path = settings.model_path or packaged_model()
        header = read_header(path)
    except PlatformlessError:
        return skipped(_NAME, "the model file must be right first")
    try:
        how = traceable_settings(threads=settings.trace_threads)
        require_traceable_settings(how)
        shape = model_facts(header).shape
        require_whole_vectors(shape, how)
    except PlatformlessError as problem:
        return error(_NAME, str(problem), problem.advice or _ADVICE)
    which = "all checkpoints" if settings.trace == "always" else f"1 of {settings.trace_one_in}"
    says = f"{path.name}, {shape.layers} layers, {how.product_lanes} lanes; {which}: "
    cells = settings.sample_draws * len(COVERED_KINDS)
    return ok(_NAME, f"{says}proofs of {cells} cells")
