"""Reading a portal's answers with suspicion: pure functions, no IO.

Statuses: S5 portal HTTP API; tus 1.0.0; RFC 9110.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import msgspec

from ..decoding import decode_json
from ..retrying import rest_asked
from .cids import BlobId
from .errors import (
    BlobNotAtPortal,
    CidError,
    LengthMismatch,
    NotAuthorised,
    PortalBusy,
    PortalFailed,
    PortalFull,
    RedirectRefused,
    RemoteError,
    RequestRefused,
    TooLargeForPortal,
    UnusableReply,
    WrongCid,
)

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_QUOTED_CHARACTERS = 120
_NAMED: dict[int, tuple[type[RemoteError], str]] = {
    HTTPStatus.UNAUTHORIZED: (NotAuthorised, "the portal does not accept the token, or wants one"),
    HTTPStatus.FORBIDDEN: (NotAuthorised, "the portal does not allow this"),
    HTTPStatus.NOT_FOUND: (BlobNotAtPortal, "not at this portal"),
    HTTPStatus.GONE: (BlobNotAtPortal, "no longer at this portal"),
    HTTPStatus.REQUEST_TIMEOUT: (PortalFailed, "the portal waited too long"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (TooLargeForPortal, "too large for the portal"),
    HTTPStatus.LOCKED: (PortalBusy, "the portal still works on this upload"),
    HTTPStatus.TOO_MANY_REQUESTS: (PortalBusy, "the portal limits requests"),
    HTTPStatus.INSUFFICIENT_STORAGE: (PortalFull, "the portal has no space"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A portal's answer to a small request. Names of headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: httpx.URL

    @property
    def ok(self) -> bool:
        return HTTPStatus(200) <= self.status < HTTPStatus(300)


class _Uploaded(msgspec.Struct):
    cid: str


def refusal(what: str, answer: Answer, *, secret: str | None = None) -> RemoteError:
    """The error that an answer other than success stands for.

    Args:
        what: What was asked, for the message.
        secret: Must not be repeated, even when the portal repeats it.
    """
    if answer.status in _NAMED:
        kind, why = _NAMED[answer.status]
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind, why = PortalFailed, "the portal failed"
    else:
        kind, why = RequestRefused, "the portal refused"
    said = quoted(answer.body, secret)
    return kind(
        f"{what}: {why}",
        got=f"HTTP {answer.status}" + (f" {said}" if said else ""),
        rest_seconds=rest_asked(answer.headers),
    )


def check_cid(answer: Answer, blob: BlobId, *, secret: str | None = None) -> None:
    """Checks that the answer to an upload names the blob that was uploaded, in any spelling.

    Raises:
        UnusableReply: when it names none.
        WrongCid
    """
    try:
        cid = decode_json(answer.body, _Uploaded).cid
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableReply(
            "the answer to an upload is not one",
            expected="JSON with a cid",
            got=quoted(answer.body, secret) or "nothing",
        ) from error
    try:
        named: BlobId | None = BlobId.parse(cid)
    except CidError:
        named = None
    if named != blob:
        raise WrongCid(
            "the portal answered with another CID",
            expected=str(blob),
            got=quoted(cid.encode(), secret),
        )


def check_length(headers: Mapping[str, str], blob: BlobId) -> None:
    """Checks what a portal announces before its body is read.

    Raises:
        LengthMismatch
        UnusableReply: for a body in a content coding, whose length says nothing.
    """
    coding = headers.get("content-encoding", "identity")
    if coding != "identity":
        raise UnusableReply(
            "the portal sends a coded body", expected="no coding", got=quoted(coding.encode())
        )
    announced = headers.get("content-length")
    if announced is not None and announced != str(blob.size):
        raise LengthMismatch(
            "the portal announces another length",
            expected=f"{blob.size} bytes",
            got=quoted(announced.encode()),
        )


def next_address(current: httpx.URL, location: str | None) -> httpx.URL:
    """Where a `Location` header leads from `current`.

    Only to http and https, and never from https to http: a portal that is far away must not make
    the client ask plain addresses in its own network.

    Raises:
        RedirectRefused
    """
    if location is None:
        raise RedirectRefused("a redirect without an address", expected="Location", got="none")
    try:
        target = current.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise RedirectRefused(
            "a redirect to no address", got=quoted(location.encode("utf-8", "replace"))
        ) from error
    allowed = ("https",) if current.scheme == "https" else ("http", "https")
    if target.scheme not in allowed or not target.host:
        raise RedirectRefused(
            "a redirect that is not followed", expected=" or ".join(allowed), got=shown(target)
        )
    return target


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether scheme, host and port are equal: the only place where a token may be sent."""
    return _origin(one) == _origin(other)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port or default


def shown(url: httpx.URL) -> str:
    """An address for people, without what may be secret in it: user, password and query."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def quoted(text: bytes, secret: str | None = None) -> str:
    """The start of what a portal said, in one harmless line, without the secret."""
    said = text.decode("utf-8", "replace")
    if secret:
        said = said.replace(secret, "[token]")
    return repr(said[:_QUOTED_CHARACTERS]) if said else ""
