"""Decoding into types, by several threads at once.

msgspec prepares a type when it is first decoded into, and holds no lock meanwhile: two threads that
do so at once crash the process (seen with 0.22). Here a type is prepared under a lock. Nothing else
decodes into a type of msgspec's (`tests/unit/test_decoding.py` sees to it).
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

_Value = TypeVar("_Value")
_lock = threading.Lock()
_prepared: set[Any] = set()


def decode_json(data: bytes | bytearray | memoryview | str, kind: type[_Value]) -> _Value:
    """JSON as a `kind`.

    Raises:
        msgspec.DecodeError: `msgspec.ValidationError` when it is JSON of another shape.
        RecursionError: when it is nested too deep.
        UnicodeDecodeError
    """
    _prepare(kind)
    return msgspec.json.decode(data, type=kind)


def decode_msgpack(data: bytes | bytearray | memoryview, kind: type[_Value]) -> _Value:
    """MessagePack as a `kind`; errors as `decode_json`."""
    _prepare(kind)
    return msgspec.msgpack.decode(data, type=kind)


def convert(value: Any, kind: type[_Value]) -> _Value:
    """Built-in types as a `kind`.

    Raises:
        msgspec.ValidationError
    """
    _prepare(kind)
    return msgspec.convert(value, type=kind)


def json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder of JSON for a type that is a union of several."""
    _prepare(kind)
    return msgspec.json.Decoder(kind)


def _prepare(kind: Any) -> None:
    if kind in _prepared:
        return
    with _lock:
        msgspec.msgpack.Decoder(kind)
        _prepared.add(kind)
