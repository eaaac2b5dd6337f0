"""What holds for every test."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import settings

from platformless.node.redaction import SECRETS

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Hundreds of processes import the same modules: they are compiled for the first of them only.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

LONGEST = (
    "tests/pipeline/test_killed.py",
    "tests/guide/",
    "tests/proof/test_verify.py",
    "tests/redteam/test_attacks.py",
    "tests/p2p/test_finding.py",
    "tests/registration/test_interrupted.py",
    "tests/backup/test_drill.py",
    "tests/engine/test_trace.py",
    "tests/node/test_soak.py",
    "tests/chain/test_soak.py",
    "tests/node/test_logged_run.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest are begun first, so that none is left for the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@contextmanager
def secrets_forgotten() -> Iterator[None]:
    """The pattern of all secrets of a process is compiled anew when one has come, which takes a
    second once a hundred tests have left theirs."""
    before = set(SECRETS._patterns), SECRETS._all
    yield
    SECRETS._patterns, SECRETS._all = before


@pytest.fixture(autouse=True)
def secrets_of_a_test() -> Iterator[None]:
    with secrets_forgotten():
        yield


@pytest.fixture(scope="module", autouse=True)
def secrets_of_a_module() -> Iterator[None]:
    with secrets_forgotten():
        yield


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """Every client of httpx reads the certificates of all authorities, for 40 ms; those of the
    tests' process share what the first one has read."""
    from httpx._transports import default

    @cache
    def read(verify: Any, cert: Any, trust_env: bool, *_places: str | None) -> ssl.SSLContext:
        return httpx.create_ssl_context(verify, cert, trust_env)

    def shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        places = map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))
        return read(verify, cert, trust_env, *places)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default, "create_ssl_context", shared)
        yield
