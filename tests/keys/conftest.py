"""A chain for all tests of keys."""

from __future__ import annotations

from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.conftest import world as world
