"""A server of one file on loopback, which misbehaves in ways that it is told."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass
class FileServer:
    """Serves `content` under every path.

    Args:
        cut_after: For each request in turn, so many bytes and then the connection ends; later
            requests are answered whole.
        statuses: Of the first requests, in turn, without a body.
        ignores_ranges: Answers 200 with everything.
        tells_size: Whether there is a Content-Length.
        redirects_to: Where every request is sent instead.
    """

    content: bytes
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ignores_ranges: bool = False
    tells_size: bool = True
    redirects_to: str = ""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request."""

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, name: str = "model.gguf") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/files/{name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if self.statuses:
            self._empty(request, self.statuses.pop(0))
            return
        if self.redirects_to:
            request.send_response(302)
            request.send_header("Location", self.redirects_to)
            request.end_headers()
            return
        start = 0
        if asked and not self.ignores_ranges and (said := _RANGE.fullmatch(asked)):
            start = int(said[1])
            if start >= len(self.content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.content)}")
                body = b"no such range"
                request.send_header("Content-Length", str(len(body)))
                request.end_headers()
                request.wfile.write(body)
                return
        self._body(request, start)

    def _body(self, request: BaseHTTPRequestHandler, start: int) -> None:
        whole = len(self.content)
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if self.tells_size:
            request.send_header("Content-Length", str(len(body)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        request.end_headers()
        request.wfile.write(body[: self.cut_after.pop(0)] if self.cut_after else body)

    def _empty(self, request: BaseHTTPRequestHandler, status: int) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()
