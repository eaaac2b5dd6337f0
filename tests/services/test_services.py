"""The servers of the tests: what they promise to the tests that use them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pika  # type: ignore[import-untyped]
import pytest
import redis
import sqlalchemy as sa

from . import own
from .postgresql import PostgreSQL
from .rabbitmq import RabbitMQ
from .redis import Redis

ROOT = Path(__file__).parents[2]
GONE_SECONDS = 20
HOLD = """
import sys
from tests.services.postgresql import running_postgresql
from tests.services.rabbitmq import running_rabbitmq
from tests.services.redis import running_redis
with {name}() as server:
    print(server.process_id, server._folder, flush=True)
    sys.stdin.read()
"""


def make_table(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n integer)")
    engine.dispose()


def tables(url: str) -> list[str]:
    engine = sa.create_engine(url)
    try:
        return sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def test_every_database_is_empty_at_first(postgresql: PostgreSQL) -> None:
    for _ in range(2):
        with postgresql.database() as url:
            assert tables(url) == []
            make_table(url)


def test_what_was_committed_is_there_after_a_crash(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    make_table(postgresql_url)
    postgresql.crash()
    postgresql.start()
    assert tables(postgresql_url) == ["t"]


def test_a_redis_is_empty_after_a_crash(redis_server: Redis, redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.set("a", 1)
    redis_server.crash()
    with pytest.raises(redis.ConnectionError):
        client.get("a")
    redis_server.start()
    assert client.get("a") is None
    client.close()


def test_durable_queues_are_there_after_a_crash(rabbitmq: RabbitMQ, rabbitmq_url: str) -> None:
    def connect() -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(rabbitmq_url))

    with connect() as connection:
        connection.channel().queue_declare("q", durable=True)
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "q", b"m", pika.BasicProperties(delivery_mode=2))
    rabbitmq.crash()
    rabbitmq.start()
    with connect() as connection:
        _, _, message = connection.channel().basic_get("q", auto_ack=True)
    assert message == b"m"


@pytest.mark.parametrize("name", ["running_postgresql", "running_redis", "running_rabbitmq"])
def test_a_server_ends_with_the_process_that_started_it(name: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(name=name)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    process_id, folder = holder.stdout.readline().split()
    assert Path(folder).is_dir()
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    deadline = time.monotonic() + GONE_SECONDS
    while runs(int(process_id)) or Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(process_id: int) -> bool:
    """A process that ended and that nobody asked for its status does not run."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_server_that_is_not_installed_is_told() -> None:
    with pytest.raises(own.ServerMissing, match=r"tools/services\.sh"):
        own.find_program("Server", "usr/bin/no-such-server")
