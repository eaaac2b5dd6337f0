"""The servers as fixtures. A folder's conftest.py imports those that its tests use:

    from tests.services.fixtures import postgresql as postgresql
    from tests.services.fixtures import postgresql_url as postgresql_url

A server starts with the first test of the folder that needs it. One that is not installed fails
the test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .postgresql import PostgreSQL, running_postgresql
from .rabbitmq import RabbitMQ, running_rabbitmq
from .redis import Redis, running_redis


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with running_postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """SQLAlchemy's URL of a new, empty database."""
    with postgresql.database() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The URL of a Redis that is empty."""
    redis_server.wipe()
    return redis_server.url


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """Takes five seconds to start."""
    with running_rabbitmq() as server:
        yield server


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitMQ) -> Iterator[str]:
    """The URL of a new virtual host, which has no queues."""
    with rabbitmq.virtual_host() as url:
        yield url
