"""Errors of the embedded portal, with the HTTP status that each is told with.

PortalError                 STO-300   refuses, or cannot
├── Unauthorized            STO-301   401   no token, or another
├── DeletionDisabled        STO-302   403   this portal deletes nothing
├── BlobNotFound            STO-303   404   no such blob here
├── PathNotFound            STO-304   404   nothing was written to the path
├── EntryNotFound           STO-305   404   the registry has no entry of the key
├── UploadNotFound          STO-306   404   no such upload, or it expired
├── NoSuchEndpoint          STO-307   404   or 405: not a call of this portal
├── BadRequest              STO-310   400   a header or a body that cannot be read
├── BadPath                 STO-311   400   a path with empty or dotted parts
├── BadEntry                STO-312   400   not a registry entry
├── BadSignature            STO-313   400   the entry is not signed by its key
├── BodyTooLarge            STO-314   413   more bytes than allowed or announced
├── BodyStalled             STO-315   408   nothing came for too long
├── WrongContentType        STO-316   415   not the type that the call needs
├── UnsupportedTusVersion   STO-317   412   a tus version other than 1.0.0
├── RangeNotSatisfiable     STO-320   416   the range lies behind the blob's end
├── AlreadyStored           STO-321   409   an upload of a blob that is here
├── WrongOffset             STO-322   409   not where the upload stands
├── UploadLocked            STO-323   423   another process writes to the upload
├── HashMismatch            STO-324   422   the bytes are not those announced
├── StaleRevision           STO-325   409   the registry has a revision not older
├── QuotaExceeded           STO-330   507   the portal's quota would be exceeded
├── DiskFull                STO-331   507   the disk would be
├── DiskFailed              STO-332   500   the disk cannot be read or written
└── PortUnavailable         STO-340         the address cannot be listened on
"""

from __future__ import annotations

from typing import ClassVar

from ..errors import StorageError


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
