"""The registered model, and the traces of two of its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings

from .held import Auditor, HeldTrace, Transcript, answered, asked

QUESTIONS = (("Why is the sky blue?", 40), ("Name three rivers of Europe.", 52))


@pytest.fixture(scope="package")
def model() -> Iterator[Model]:
    model = Model.load(EngineSettings(threads=1))
    yield model
    model.close()


@pytest.fixture(scope="package")
def auditor(model: Model) -> Auditor:
    return Auditor(model)


@pytest.fixture(scope="package")
def transcripts(model: Model) -> list[Transcript]:
    """Two answers: 40 tokens, and 52 or less."""
    return [answered(model, asked(model, question), count) for question, count in QUESTIONS]


@pytest.fixture(scope="package")
def traces(model: Model, transcripts: list[Transcript]) -> list[HeldTrace]:
    return [HeldTrace.of(model, one.tokens) for one in transcripts]
