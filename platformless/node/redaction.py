"""The last line of defence around a process's secrets: none is in what the process writes.

Nothing in this project writes a secret on purpose. What hides here is there for the day on which
a library, a traceback or a mistake does.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from typing import Any, TextIO, cast
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "[hidden]"
SHORTEST = 6
"""Shorter texts are not hidden: they would be found in words that say something else."""
_SHORTEST_NUMBER = 20
"""A key that begins with zeros is a short number, found in others."""
_KEY_LIKE = re.compile(r"[0-9A-Za-z_-]{16,}")
"""What of a path or a query is taken for a provider's key."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"']+@")


class Secrets:
    """What must not be shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._patterns: set[str] = set()
        self._all: re.Pattern[str] | None = None
        """Of all patterns; None when one has come since it was compiled, which takes a while."""

    def hide_key(self, key: bytes) -> None:
        """A key, in every spelling in which Python or an encoder may write it."""
        self._add(f"(?i:{key.hex()})")
        for text in _spellings_of_bytes(key):
            if len(text) >= _SHORTEST_NUMBER:
                self._add_text(text)

    def hide_text(self, text: str) -> None:
        """A token or a password; one that is shorter than `SHORTEST` is not hidden. One that is a
        key in hex is hidden as a key."""
        if len(text) < SHORTEST:
            return
        self._add_text(text)
        digits = text.removeprefix("0x")
        if re.fullmatch("[0-9a-fA-F]{32,}", digits) and len(digits) % 2 == 0:
            self.hide_key(bytes.fromhex(digits))

    def hide_url(self, url: str, *, path: bool = False) -> None:
        """Password and keys of an address.

        Args:
            path: Whether all that comes after the host is hidden.
        """
        try:
            parts = urlsplit(url.strip())
            password = parts.password
        except ValueError:
            return
        if password:
            self.hide_text(unquote(password))
            self.hide_text(password)
        host = parts.netloc.rpartition("@")[2]
        rest = parts.path + (f"?{parts.query}" if parts.query else "")
        if path and host and rest.strip("/"):
            self._add(f"(?<={re.escape(host)}){re.escape(rest)}")
        if host:
            for key in _KEY_LIKE.findall(rest):
                self.hide_text(key)

    def cleaned(self, text: str) -> str:
        """The text without any of them, and without credentials in addresses."""
        if self._patterns:
            text = self._compiled().sub(HIDDEN, text)
        return _CREDENTIALS.sub("", text) if "@" in text else text

    def _add_text(self, text: str) -> None:
        for spelling in {text, repr(text)[1:-1], json.dumps(text)[1:-1], quote(text, safe="")}:
            self._add("".join(map(_escaped, spelling)))

    def _add(self, pattern: str) -> None:
        with self._lock:
            if pattern not in self._patterns:
                self._patterns.add(pattern)
                self._all = None

    def _compiled(self) -> re.Pattern[str]:
        with self._lock:
            if self._all is None:
                ordered = sorted(self._patterns, key=len, reverse=True)
                self._all = re.compile("|".join(ordered))
            return self._all


class CleanStream:
    """A text stream that writes nothing of what `secrets` hides. In all else it is the other."""

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self._stream = stream
        self._secrets = secrets

    @classmethod
    def around(cls, stream: TextIO, secrets: Secrets) -> TextIO:
        """The stream itself, when it is one already."""
        return stream if isinstance(stream, cls) else cast(TextIO, cls(stream, secrets))

    def write(self, text: str) -> int:
        self._stream.write(self._secrets.cleaned(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


SECRETS = Secrets()
"""Of this process."""


def _escaped(character: str) -> str:
    """The pattern of a character, which may have been escaped more than once."""
    if character == "\\":
        return r"\\+"
    if character in "\"'":
        return rf"\\*{character}"
    return re.escape(character)


def _spellings_of_bytes(key: bytes) -> Iterator[str]:
    yield repr(key)[2:-1]
    yield base64.b64encode(key).decode().rstrip("=")
    yield base64.urlsafe_b64encode(key).decode().rstrip("=")
    yield str(int.from_bytes(key, "big"))
    for between in (", ", ",", " "):
        yield between.join(map(str, key))
