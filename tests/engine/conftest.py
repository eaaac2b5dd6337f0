"""One engine for all tests, over the real SmolLM2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from platformless.engine.chat import ChatFormat
from platformless.engine.engine import Engine
from platformless.engine.model import packaged_model

from .answers import SETTINGS


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of a user's cache is read or written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLATFORMLESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def model_path() -> Path:
    return packaged_model()


@pytest.fixture(scope="package")
def engine() -> Iterator[Engine]:
    """Four sequences of 512 tokens; idle between tests."""
    engine = Engine.open(SETTINGS)
    yield engine
    engine.close()


@pytest.fixture
def chat(engine: Engine) -> ChatFormat:
    return ChatFormat(engine.vocabulary, engine.chat_template)
