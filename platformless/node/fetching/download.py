"""A file from an HTTP server that breaks off, begins again, or gives something else."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import httpx

from ...chain.model_registry import FileHash
from ...retrying import Backoff, rest_asked
from .errors import ServerRefused, ServerUnavailable, TooLarge, WrongContent
from .part import PartFile

log = logging.getLogger(__name__)

_SPARE_BYTES = 1 << 28
"""Room that is left on the disk: the ledger may be on the same one."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_UNSATISFIED_RANGE = re.compile(r"bytes \*/(\d+)")

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here, and how many there will be when the server says so."""


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How long to wait, and for how much."""

    largest_bytes: int = 64 << 30
    patience_seconds: float = 120.0
    """Given up when for so long the file has not grown."""
    request_seconds: float = 30.0
    """A connection that is silent for so long is broken."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 10.0))


class _Broken(Exception):
    """Try again. Its text says why."""

    def __init__(self, why: str, rest_seconds: float | None = None) -> None:
        super().__init__(why)
        self.rest_seconds = rest_seconds


@dataclass(frozen=True, slots=True)
class Downloaded:
    """How a file came."""

    size_bytes: int
    received_bytes: int
    resumed_from_bytes: int
    """What was already here when it began."""


class Download:
    """One file from one URL, until its SHA-256 is right.

    Args:
        url: http or https. Shown in no message: a signature may be in it.
        part: Entered; where the bytes go.
        sleep: For tests.
    """

    def __init__(
        self,
        url: str,
        part: PartFile,
        settings: FetchSettings,
        on_progress: Progress = lambda _here, _whole: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._part = part
        self._settings = settings
        self._on_progress = on_progress
        self._sleep = sleep
        self._received = 0
        self._resumed_from = 0

    def run(self, expected: FileHash) -> Downloaded:
        """Fetches what is missing and gives the file its name when it is the expected one. Bytes of
        an earlier fetch that turn out to be another file's are fetched again, once.

        Raises:
            ServerRefused, ServerUnavailable, TooLarge, WrongContent, FolderUnusable
        """
        self._part.resume()
        self._resumed_from = self._part.size
        with self._client() as client:
            self._complete(client)
            if self._part.digest() != expected.value and self._resumed_from:
                log.warning("what an earlier fetch left is another file's: fetched again")
                self._begin_again()
                self._complete(client)
        got = self._part.digest()
        if got != expected.value:
            self._part.discard()
            raise WrongContent(
                "the server gave another file",
                expected=f"SHA-256 {expected}",
                got=f"0x{got.hex()}, {self._part.size:,} bytes",
            )
        self._part.land()
        return Downloaded(self._part.size, self._received, self._resumed_from)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=self._settings.request_seconds,
            follow_redirects=True,
            headers={"accept-encoding": "identity", "user-agent": "fabstir-llm-node"},
        )

    def _complete(self, client: httpx.Client) -> None:
        """Asks until all bytes are here."""
        failures, since, farthest = 0, time.monotonic(), self._part.size
        while True:
            try:
                self._ask(client)
            except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise ServerRefused("the server leads nowhere", got=error) from error
            except (httpx.TransportError, _Broken) as error:
                why = str(error) or type(error).__name__
                rest = error.rest_seconds if isinstance(error, _Broken) else None
            else:
                return
            if self._part.size > farthest:
                failures, since, farthest = 0, time.monotonic(), self._part.size
            failures += 1
            if time.monotonic() - since > self._settings.patience_seconds:
                raise ServerUnavailable(
                    "the server does not give the file",
                    expected=f"more of it within {self._settings.patience_seconds:g} s",
                    got=why,
                )
            log.info("broken off at byte %d: %s", self._part.size, why)
            self._sleep(self._settings.backoff.rest_seconds(failures) if rest is None else rest)

    def _ask(self, client: httpx.Client) -> None:
        """One request, for what is missing."""
        start = self._part.size
        headers = {"range": f"bytes={start}-"} if start else {}
        with client.stream("GET", self._url, headers=headers) as response:
            if self._is_whole(response, start):
                return
            whole = self._begun(response, start)
            if whole is not None:
                self._require_room(whole)
            self._on_progress(self._part.size, whole)
            for chunk in response.iter_raw():  # of no fixed size: a part of one would be lost
                self._part.write(chunk)
                self._received += len(chunk)
                self._require_room(self._part.size)
                self._on_progress(self._part.size, whole)
            if whole is not None and self._part.size < whole:
                raise _Broken(f"the connection ended at byte {self._part.size:,} of {whole:,}")

    def _is_whole(self, response: httpx.Response, start: int) -> bool:
        """Whether the server says that nothing comes after what is here (RFC 9110, 15.5.17).

        Raises:
            _Broken: when its file is shorter; then nothing is here any more.
        """
        if response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            return False
        said = _UNSATISFIED_RANGE.fullmatch(response.headers.get("content-range", ""))
        if said is not None and int(said[1]) == start:
            return True
        self._begin_again()
        raise _Broken("the server's file ends before what was here", 0.0)

    def _begun(self, response: httpx.Response, start: int) -> int | None:
        """The size of the whole file, when the server says it; what follows continues the part.

        Raises:
            ServerRefused, _Broken
        """
        status = response.status_code
        if status == HTTPStatus.OK:
            if start:
                self._begin_again()  # a server that sends the whole, whatever it was asked for
            length = response.headers.get("content-length", "")
            return int(length) if length.isdecimal() else None
        if status == HTTPStatus.PARTIAL_CONTENT:
            return self._continued(response, start)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.REQUEST_TIMEOUT,
        ):
            raise _Broken(f"status {status}", rest_asked(response.headers))
        raise ServerRefused("the server does not give the file", expected="200", got=status)

    def _continued(self, response: httpx.Response, start: int) -> int | None:
        said = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if said is None or int(said[1]) != start:
            self._begin_again()
            raise _Broken("the server sent another range than was asked for", 0.0)
        return None if said[3] == "*" else int(said[3])

    def _begin_again(self) -> None:
        self._part.empty()
        self._resumed_from = 0

    def _require_room(self, size: int) -> None:
        """Raises:
        TooLarge: when a file of this size is not taken.
        """
        if size > self._settings.largest_bytes:
            self._part.discard()
            raise TooLarge(
                "the file is larger than is taken",
                expected=f"at most {self._settings.largest_bytes:,} bytes",
                got=f"{size:,} bytes",
            )
        room = free_bytes(self._part.path.parent) + self._part.size - _SPARE_BYTES
        if size > room:
            raise TooLarge(
                "the disk has no room for the file",
                expected=f"at most {max(room, 0):,} bytes",
                got=f"{size:,} bytes",
            )


def free_bytes(folder: Path) -> int:
    """Room for this user on the folder's disk."""
    return shutil.disk_usage(folder).free
