"""The `Range` header (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Part of a blob; `first` and `end` count bytes, `end` is not part of it."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def content_range(self, size: int) -> str:
        return f"bytes {self.first}-{self.end - 1}/{size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The one range asked for of `size` bytes; None: all of them, which is also the answer to a
    header that is no range, or several ranges.

    Raises:
        RangeNotSatisfiable
    """
    match = _ONE_RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last or size == 0:
            return None
        if int(last) == 0:
            raise RangeNotSatisfiable(size, header)
        return ByteRange(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeNotSatisfiable(size, header)
    return ByteRange(int(first), min(size, int(last) + 1) if last else size)
