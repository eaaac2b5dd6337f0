"""Errors of storage.

StorageError                    STO-000
├── CidError                    STO-100   a text that names no blob
│   ├── UnknownBase             STO-101   its first character names no known base
│   ├── MalformedText           STO-102   not a text of its base
│   ├── NotABlob                STO-103   an identifier of another kind, or none
│   ├── UnknownHashTag          STO-104   the hash is not BLAKE3-256
│   ├── WrongLength             STO-105   too short for a hash, or absurdly long
│   └── SizeTooLong             STO-106   more than eight bytes of size
├── RemoteError                 STO-200   one portal did not do what it was asked
│   ├── PortalUnreachable       STO-201   retry here   no connection, or it broke
│   ├── PortalTooSlow           STO-202   retry here   silence, or too few bytes a second
│   ├── PortalBusy              STO-203   retry here   HTTP 429
│   ├── PortalFailed            STO-204   retry here   HTTP 5xx
│   ├── UploadLost              STO-205   retry here   the portal forgot an upload it had begun
│   ├── BodyTruncated           STO-206   retry here   the body ended early
│   ├── PortalFull              STO-207   elsewhere    HTTP 507
│   ├── NotAuthorised           STO-208   elsewhere    HTTP 401 or 403
│   ├── BlobNotAtPortal         STO-209   elsewhere    HTTP 404 or 410
│   ├── TooLargeForPortal       STO-210   elsewhere    HTTP 413, or over a known limit
│   ├── RequestRefused          STO-211   elsewhere    another HTTP status
│   ├── RedirectRefused         STO-212   elsewhere    a loop, too many, or to no safe address
│   ├── UnusableReply           STO-213   elsewhere    an answer that says nothing usable
│   ├── LengthMismatch          STO-214   elsewhere    another length than the blob's
│   ├── WrongContent            STO-215   elsewhere    the right length, another hash
│   ├── WrongCid                STO-216   elsewhere    an upload's answer names another blob
│   └── NotStored               STO-217   elsewhere    the portal has not what it said it stored
├── StoreError                  STO-250   the task as a whole failed
│   ├── BlobUnavailable         STO-251   retry here   no portal gave the blob
│   ├── NotReplicated           STO-252   retry here   fewer portals than asked for have the blob
│   ├── BlobTooLarge            STO-253   give up      larger than the caller takes
│   ├── RangeOutsideBlob        STO-254   give up      bytes that the blob does not have
│   ├── LocalFileFailed         STO-255   give up      a local file cannot be read or written
│   ├── SourceChanged           STO-256   give up      a file changed while it was uploaded
│   ├── BadSettings             STO-257   give up      settings that cannot work
│   └── NotOffered              STO-258   give up      this store has no such operation
├── PortalError                 STO-300   of the embedded portal: portal/errors.py
└── PublicationError            STO-400   a checkpoint cannot be published
    ├── PublicationBusy         STO-401   another process publishes the session
    └── PublicationConflict     STO-402   the checkpoint was published with another content

Errors of the client say what may be done about them: `disposition`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import ClassVar

from ..errors import PlatformlessError


class Disposition(enum.Enum):
    """What to do about an error of the client."""

    RETRY_HERE = "retry here later"  # the same portal may do it at another time
    ELSEWHERE = "try another portal"  # this portal would fail the same again
    GIVE_UP = "give up"  # no portal helps


class StorageError(PlatformlessError):
    """Something that has to do with storage failed."""

    code = "STO-000"


class CidError(StorageError):
    """A text that does not name a blob."""

    code = "STO-100"
    outcome = "invalid"
    exit_status = 2


class UnknownBase(CidError):
    code = "STO-101"
    advice = "an identifier begins with b, f, u or z"


class MalformedText(CidError):
    code = "STO-102"
    advice = "look for characters that were lost or added in copying"


class NotABlob(CidError):
    code = "STO-103"


class UnknownHashTag(CidError):
    code = "STO-104"


class WrongLength(CidError):
    code = "STO-105"
    advice = "look for characters that were lost or added in copying"


class SizeTooLong(CidError):
    code = "STO-106"


class RemoteError(StorageError):
    """One portal did not do what it was asked.

    `rest_seconds` is how long it asked to be left alone, when it did.
    """

    code = "STO-200"
    disposition: ClassVar[Disposition] = Disposition.ELSEWHERE

    def __init__(
        self,
        message: str,
        *,
        expected: object = None,
        got: object = None,
        rest_seconds: float | None = None,
    ) -> None:
        super().__init__(message, expected=expected, got=got)
        self.rest_seconds = rest_seconds


class PortalUnreachable(RemoteError):
    code = "STO-201"
    disposition = Disposition.RETRY_HERE
    advice = "check the portal's address and that it runs"


class PortalTooSlow(RemoteError):
    code = "STO-202"
    disposition = Disposition.RETRY_HERE


class PortalBusy(RemoteError):
    code = "STO-203"
    disposition = Disposition.RETRY_HERE


class PortalFailed(RemoteError):
    code = "STO-204"
    disposition = Disposition.RETRY_HERE


class UploadLost(RemoteError):
    code = "STO-205"
    disposition = Disposition.RETRY_HERE


class BodyTruncated(RemoteError):
    code = "STO-206"
    disposition = Disposition.RETRY_HERE


class PortalFull(RemoteError):
    code = "STO-207"
    advice = "free space at the portal, or add another"


class NotAuthorised(RemoteError):
    code = "STO-208"
    advice = "check the portal's token"


class BlobNotAtPortal(RemoteError):
    code = "STO-209"


class TooLargeForPortal(RemoteError):
    code = "STO-210"


class RequestRefused(RemoteError):
    code = "STO-211"


class RedirectRefused(RemoteError):
    code = "STO-212"


class UnusableReply(RemoteError):
    code = "STO-213"
    advice = "check that the address is that of an S5 portal"


class LengthMismatch(RemoteError):
    code = "STO-214"


class WrongContent(RemoteError):
    code = "STO-215"
    advice = "the portal serves false bytes: do not rely on it"


class WrongCid(RemoteError):
    code = "STO-216"
    advice = "the portal hashes otherwise or garbles uploads: do not rely on it"


class NotStored(RemoteError):
    code = "STO-217"


Faults = Sequence[tuple[str, StorageError]]
"""What went wrong, in order: the portal's address and its error."""


class StoreError(StorageError):
    """What a store was asked for failed as a whole."""

    code = "STO-250"
    disposition: ClassVar[Disposition] = Disposition.GIVE_UP


class BlobUnavailable(StoreError):
    """`faults` has every portal's every error."""

    code = "STO-251"
    disposition = Disposition.RETRY_HERE

    def __init__(self, message: str, *, expected: object, faults: Faults) -> None:
        super().__init__(message, expected=expected, got=_told(faults))
        self.faults = tuple(faults)


class NotReplicated(StoreError):
    """`stored` are the addresses of the portals that confirmed; `faults` is the rest's story."""

    code = "STO-252"
    disposition = Disposition.RETRY_HERE
    advice = "the portals that confirmed keep the blob; ask again, or add portals"

    def __init__(
        self, message: str, *, expected: object, stored: Sequence[str], faults: Faults
    ) -> None:
        confirmed = f"{len(stored)} ({', '.join(stored)})" if stored else "none"
        super().__init__(message, expected=expected, got=f"{confirmed}; {_told(faults)}")
        self.stored = tuple(stored)
        self.faults = tuple(faults)


class BlobTooLarge(StoreError):
    code = "STO-253"


class RangeOutsideBlob(StoreError):
    code = "STO-254"


class LocalFileFailed(StoreError):
    code = "STO-255"
    advice = "check the disk: space, permissions, the path"


class SourceChanged(StoreError):
    code = "STO-256"
    advice = "upload a file only when nobody writes it any more"


class BadSettings(StoreError):
    code = "STO-257"


class NotOffered(StoreError):
    code = "STO-258"


def _told(faults: Faults) -> str:
    """Every portal's distinct errors, with how often each came."""
    counted: dict[tuple[str, str], int] = {}
    for url, error in faults:
        counted[url, str(error)] = counted.get((url, str(error)), 0) + 1
    lines = [
        f"{url}: {text}" + (f" ({count} times)" if count > 1 else "")
        for (url, text), count in counted.items()
    ]
    return "; ".join(lines) or "no portal was asked"


class PublicationError(StorageError):
    """A checkpoint cannot be published."""

    code = "STO-400"


class PublicationBusy(PublicationError):
    code = "STO-401"


class PublicationConflict(PublicationError):
    code = "STO-402"
