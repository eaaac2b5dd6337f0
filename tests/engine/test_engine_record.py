"""What an engine says of its settings is what it runs with."""

from __future__ import annotations

import dataclasses
import os

from platformless.engine.build import llama_build
from platformless.engine.engine import Engine
from platformless.engine.settings import EngineSettings
from platformless.protocol.engine_record import EngineRecord

from .replays import EXACT, recorded_settings


def record_of(settings: EngineSettings) -> EngineRecord:
    engine = Engine.open(dataclasses.replace(settings, context_tokens=64))
    try:
        return engine.record
    finally:
        engine.close()


def test_an_engine_records_its_settings() -> None:
    assert record_of(EXACT) == recorded_settings()


def test_what_the_settings_leave_open_is_recorded_as_it_is() -> None:
    record = record_of(EngineSettings(sequences=40, prompt_chunk_tokens=16))
    assert record.threads == len(os.sched_getaffinity(0))
    assert record.batch_tokens == 40  # one token of every sequence
    assert not record.flash_attention


def test_the_build_is_named_and_the_same_each_time() -> None:
    assert llama_build() == llama_build()
    assert llama_build().startswith("llama-cpp-python ")
    assert len(llama_build()) <= 64
