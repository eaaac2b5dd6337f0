"""The address that a host names to its clients: what they can use, and what they cannot."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from .errors import ApiUrlRefused

LONGEST = 200
_SCHEMES = ("http", "https")
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True, slots=True)
class ApiUrl:
    """An address that clients can read."""

    text: str
    """Without a slash at its end: clients append paths to it."""
    is_local: bool
    """Whether it is an address of this machine or of a private network."""
    is_plain: bool
    """Whether it is reached without TLS."""


def read_api_url(text: str) -> ApiUrl:
    """Raises:
    ApiUrlRefused: when clients cannot use it wherever they are.
    """
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > LONGEST:
        raise _refused(f"at most {LONGEST} ASCII characters without spaces", text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("a valid URL", text) from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise _refused("http:// or https:// and a host", text)
    if parts.username is not None or parts.password is not None:
        # Not shown: everybody would read it on the chain, but not yet.
        raise ApiUrlRefused("the URL has credentials in it", expected="none", got="not shown")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise _refused("no query and no fragment: clients append paths", text)
    if port == 0:
        raise _refused("a port from 1 to 65535", text)
    return ApiUrl(text.rstrip("/"), _is_local(parts), parts.scheme == "http")


def require_reachable(url: ApiUrl, is_dev_chain: bool) -> tuple[str, ...]:
    """What there is to say of an address; on a dev chain it may be local.

    Raises:
        ApiUrlRefused: when it is local, and the chain is for everybody.
    """
    if url.is_local and not is_dev_chain:
        raise _refused("an address that clients on the internet can reach", url.text)
    if url.is_local:
        return (f"{url.text} is reached from this machine or network only",)
    if url.is_plain:
        return (f"{url.text} has no TLS: pages that browsers load by https cannot use it",)
    return ()


def _is_local(parts: SplitResult) -> bool:
    host = (parts.hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_ENDINGS)


def _refused(expected: str, text: str) -> ApiUrlRefused:
    return ApiUrlRefused(
        "clients cannot use this address", expected=expected, got=repr(text[: 2 * LONGEST])
    )
