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
├── PortalError                 STO-300   the embedded portal refuses, or cannot; `http_status`
│   ├── Unauthorized            STO-301   401   no token, or another
│   ├── DeletionDisabled        STO-302   403   this portal deletes nothing
│   ├── BlobNotFound            STO-303   404   no such blob here
│   ├── PathNotFound            STO-304   404   nothing was written to the path
│   ├── EntryNotFound           STO-305   404   the registry has no entry of the key
│   ├── UploadNotFound          STO-306   404   no such upload, or it expired
│   ├── NoSuchEndpoint          STO-307   404   or 405: not a call of this portal
│   ├── BadRequest              STO-310   400   a header or a body that cannot be read
│   ├── BadPath                 STO-311   400   a path with empty or dotted parts
│   ├── BadEntry                STO-312   400   not a registry entry
│   ├── BadSignature            STO-313   400   the entry is not signed by its key
│   ├── BodyTooLarge            STO-314   413   more bytes than allowed or announced
│   ├── BodyStalled             STO-315   408   nothing came for too long
│   ├── WrongContentType        STO-316   415   not the type that the call needs
│   ├── UnsupportedTusVersion   STO-317   412   a tus version other than 1.0.0
│   ├── RangeNotSatisfiable     STO-320   416   the range lies behind the blob's end
│   ├── AlreadyStored           STO-321   409   an upload of a blob that is here
│   ├── WrongOffset             STO-322   409   not where the upload stands
│   ├── UploadLocked            STO-323   423   another process writes to the upload
│   ├── HashMismatch            STO-324   422   the bytes are not those announced
│   ├── StaleRevision           STO-325   409   the registry has a revision not older
│   ├── QuotaExceeded           STO-330   507   the portal's quota would be exceeded
│   ├── DiskFull                STO-331   507   the disk would be
│   ├── DiskFailed              STO-332   500   the disk cannot be read or written
│   └── PortUnavailable         STO-340         the address cannot be listened on
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


class PortalError(StorageError):
    """The embedded portal refuses a request, or cannot do it."""

    code = "STO-300"
    http_status: ClassVar[int] = 500


class Unauthorized(PortalError):
    code = "STO-301"
    http_status = 401
    advice = "send the portal's token: `Authorization: Bearer <token>`"


class DeletionDisabled(PortalError):
    code = "STO-302"
    http_status = 403
    advice = "start the portal so that it allows deletion"


class BlobNotFound(PortalError):
    code = "STO-303"
    http_status = 404


class PathNotFound(PortalError):
    code = "STO-304"
    http_status = 404


class EntryNotFound(PortalError):
    code = "STO-305"
    http_status = 404


class UploadNotFound(PortalError):
    code = "STO-306"
    http_status = 404
    advice = "start the upload again"


class NoSuchEndpoint(PortalError):
    code = "STO-307"
    http_status = 404


class BadRequest(PortalError):
    code = "STO-310"
    http_status = 400


class BadPath(PortalError):
    code = "STO-311"
    http_status = 400


class BadEntry(PortalError):
    code = "STO-312"
    http_status = 400


class BadSignature(PortalError):
    code = "STO-313"
    http_status = 400


class BodyTooLarge(PortalError):
    code = "STO-314"
    http_status = 413


class BodyStalled(PortalError):
    code = "STO-315"
    http_status = 408


class WrongContentType(PortalError):
    code = "STO-316"
    http_status = 415


class UnsupportedTusVersion(PortalError):
    code = "STO-317"
    http_status = 412


class RangeNotSatisfiable(PortalError):
    """`size` is the blob's, in bytes."""

    code = "STO-320"
    http_status = 416

    def __init__(self, size: int, got: object) -> None:
        super().__init__("no byte is in this range", expected=f"a part of {size} bytes", got=got)
        self.size = size


class AlreadyStored(PortalError):
    code = "STO-321"
    http_status = 409
    advice = "nothing is to be done: fetch it to be sure"


class WrongOffset(PortalError):
    code = "STO-322"
    http_status = 409
    advice = "ask for the offset with HEAD and go on from there"


class UploadLocked(PortalError):
    code = "STO-323"
    http_status = 423
    advice = "try again when the other request has ended"


class HashMismatch(PortalError):
    code = "STO-324"
    http_status = 422
    advice = "the upload is deleted; start it again"


class StaleRevision(PortalError):
    code = "STO-325"
    http_status = 409
    advice = "read the entry and sign a higher revision"


class QuotaExceeded(PortalError):
    code = "STO-330"
    http_status = 507
    advice = "raise the portal's quota"


class DiskFull(PortalError):
    code = "STO-331"
    http_status = 507
    advice = "make room on the disk of the portal's folder"


class DiskFailed(PortalError):
    code = "STO-332"
    advice = "check the disk and the permissions of the portal's folder"


class PortUnavailable(PortalError):
    code = "STO-340"
    advice = "choose another port, or 0 for a free one"


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
