"""A dev chain, where tests need a node on it."""

from __future__ import annotations

from tests.chain.conftest import dev_chain as dev_chain
