"""A Redis of the tests' own, which keeps nothing on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from platformless.children import Child

from .own import LOOPBACK, find_program, free_port, own_folder, wait_until

_START_SECONDS = 30


class Redis:
    """A running Redis; see `running_redis`."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        ServerMissing, ServerFailed.
        """
        self._folder = folder
        self._program = find_program("Redis", "usr/bin/redis-server")
        self._port = free_port()
        self.start()

    @property
    def process_id(self) -> int:
        return self._child.process_id

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self._port}/0"

    @property
    def version(self) -> str:
        with redis.Redis.from_url(self.url) as client:
            return str(client.info("server")["redis_version"])

    def start(self) -> None:
        """Starts it again, after `crash`, at the same address and empty."""
        command = [str(self._program), "--bind", LOOPBACK, "--port", str(self._port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._child = Child(command)
        wait_until(self._answers, self._child, "Redis", _START_SECONDS)

    def crash(self) -> None:
        """Ends it at once; what it held is lost."""
        self._child.kill()

    stop = crash

    def wipe(self) -> None:
        """Forgets everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.info("server")["process_id"] == self.process_id)
        except redis.RedisError:
            return False


@contextmanager
def running_redis() -> Iterator[Redis]:
    """A new, empty Redis, gone with the block.

    Raises:
        ServerMissing, ServerFailed.
    """
    with own_folder("redis") as folder:
        server = Redis(folder)
        try:
            yield server
        finally:
            server.stop()
