"""A ledger, and a node whose monitor looks often, over a dev chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platformless.prover.ledger.settings import LedgerSettings
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.conftest import world as world
from tests.ledger_jobs.builder import Store
from tests.operating.conftest import CHAIN


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(LedgerSettings(f"sqlite:///{tmp_path}/l.db", b"\x01" * 32, CHAIN))
    yield store
    await store.close()
