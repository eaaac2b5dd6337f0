"""JSON in one spelling, for signing and hashing: keys sorted at every level.

Compact has no spaces; pretty is indented by two. Text is UTF-8; only `"`, `\\` and controls
are escaped. JavaScript's `JSON.stringify` gives the same bytes for sorted keys.
"""

from __future__ import annotations

import json
from typing import Any

from .errors import ValueOutOfRange


def compact(value: Any) -> bytes:
    """The spelling that is signed and hashed.

    Raises:
        ValueOutOfRange: for what has no JSON or no UTF-8: NaN, a lone surrogate.
    """
    return _dump(value, separators=(",", ":"))


def pretty(value: Any) -> bytes:
    """The spelling that is stored; with `compact`'s errors."""
    return _dump(value, indent=2)


def _dump(value: Any, **options: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, **options)
        return text.encode("utf-8")
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise ValueOutOfRange("no JSON in UTF-8", got=str(error)) from error
