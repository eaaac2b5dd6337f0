"""Reading what a request says: a JSON body of a known type, numbers in paths and queries."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from ...decoding import decode_json
from ...protocol.words import U64_MAX, U256_MAX
from .errors import BadBody, BadParameter, BodyStalled, BodyTooLarge

BODY_SECONDS = 10.0
"""In which a body must have come in whole."""
_MOST_DIGITS = len(str(U256_MAX))
_TOLD_CHARACTERS = 80

_Body = TypeVar("_Body", bound=Struct)


async def read_body(request: Request, kind: type[_Body], limit: int) -> _Body:
    """The body as a `kind`.

    Args:
        limit: The most bytes that are read.

    Raises:
        BodyTooLarge, BodyStalled, BadBody
        ClientDisconnect: when the client went away.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < _MOST_DIGITS and int(announced) > limit:
        raise _too_large(limit)
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise BodyStalled(
            "the body did not come in time", expected=f"all of it within {BODY_SECONDS:g} s"
        ) from None
    try:
        return decode_json(bytes(data), kind)
    except msgspec.ValidationError as error:
        raise BadBody("the body has not the fields of this call", got=str(error)) from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadBody("the body is not JSON", expected="a JSON object") from None


def session_number(name: str, text: str | None) -> int:
    """A session's id from a path or a query.

    Raises:
        BadParameter
    """
    return _whole(name, text, U256_MAX)


def chain_number(name: str, text: str | None) -> int:
    """A chain's id from a query.

    Raises:
        BadParameter
    """
    return _whole(name, text, U64_MAX)


def _whole(name: str, text: str | None, largest: int) -> int:
    digits = text or ""
    readable = digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS
    if not readable or int(digits) > largest:
        raise BadParameter(
            f"{name} is not a whole number in decimal digits",
            expected=f"0 to {largest}",
            got="nothing" if text is None else repr(text[:_TOLD_CHARACTERS]),
        )
    return int(digits)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge("the body is too large", expected=f"at most {limit} bytes")
