"""The lines of services as the supervisor passes them on: `name | line`, or objects of JSON with
the field `service`."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ..logs import json_fields, json_line


def as_text(service: str, line: str) -> str:
    return f"{service} | {line}"


def as_json(service: str, line: str, seconds: float | None = None) -> str:
    """An object that the service wrote gets the field `service`; any other line becomes the
    `message` of one.

    Args:
        seconds: Unix time, for tests.
    """
    found = _object(line)
    if found is None:
        now = time.time() if seconds is None else seconds
        found = {**json_fields(now, "INFO", service), "process": service, "message": line}
    return json_line({**found, "service": service})


def _object(line: str) -> dict[str, Any] | None:
    """None when it is none of those that this project logs."""
    if not line.startswith("{"):
        return None
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return found if isinstance(found, dict) and "message" in found and "time" in found else None
