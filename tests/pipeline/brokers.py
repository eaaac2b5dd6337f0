"""The embedded broker, which may be stopped, started and written to by hand."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from platformless.children import Child
from platformless.prover.broker import valkey
from tests.services.own import wait_until

LIMIT_SECONDS = 30.0


class OwnValkey:
    """A server in a folder, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = valkey.broker_url(folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        valkey.tidy(self.folder)

    def start(self) -> None:
        valkey.prepare(self.folder)
        self._child = Child(valkey.server_command(self.folder))
        wait_until(self._answers, self._child, "Valkey", LIMIT_SECONDS)

    def stop(self) -> None:
        """At once."""
        self._child.kill()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))

    def wipe(self) -> None:
        with self.client() as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
