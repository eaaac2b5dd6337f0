"""Errors of making a trace.

TraceRefused               ENG-500   this model or these settings cannot be traced; nothing was run
├── ModelNotTraceable      ENG-501   architecture or tensor type not supported
├── SettingsNotTraceable   ENG-502   settings under which llama.cpp's bits are not reproducible
├── BuildNotTraceable      ENG-503   a llama.cpp whose memory or arithmetic is not the known one
└── TokensNotTraceable     ENG-504   no tokens, too many, or tokens outside the vocabulary
TraceFailed                ENG-510   llama.cpp ran, and its graph was not the expected one
TraceNotRepeated           ENG-511   a second run gave another trace
"""

from __future__ import annotations

from ..errors import EngineError


class TraceRefused(EngineError):
    """What was asked for cannot be traced."""

    code = "ENG-500"
    outcome = "invalid"


class ModelNotTraceable(TraceRefused):
    code = "ENG-501"
    advice = "trace llama models with Q4_1 matrices and Q8_0 embeddings, or switch tracing off"


class SettingsNotTraceable(TraceRefused):
    code = "ENG-502"
    advice = "docs/trace.md lists the settings that give the same bits every time"


class BuildNotTraceable(TraceRefused):
    code = "ENG-503"
    advice = "install llama-cpp-python for a processor with AVX2, FMA and F16C, as the record says"


class TokensNotTraceable(TraceRefused):
    code = "ENG-504"


class TraceFailed(EngineError):
    """The graph that llama.cpp ran is not the one that this trace is made for."""

    code = "ENG-510"


class TraceNotRepeated(EngineError):
    """The same tokens and settings gave other rows, or they are not the same."""

    code = "ENG-511"
    advice = "trace again with the model file, tokens and llama.cpp that the root was made with"
