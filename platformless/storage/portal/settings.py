"""What an embedded portal is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GIBIBYTE = 1 << 30


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """Args:
    folder: Holds everything the portal keeps; made when absent.
    quota_bytes: Of blobs and unfinished uploads together; None: no limit but the disk.
        Records of paths and of the registry, and the quarantine, do not count.
    token: Asked for before anything is written; None: anyone may write.
    private_reads: Ask for the token before anything is read, too.
    allow_delete: Serve `DELETE /s5/delete/…`.
    largest_blob_bytes: Longer uploads are refused.
    upload_seconds: An unfinished upload is dropped this long after its last byte.
    stall_seconds: A request that sends nothing for so long is ended.
    """

    folder: Path
    quota_bytes: int | None = None
    token: str | None = None
    private_reads: bool = False
    allow_delete: bool = False
    largest_blob_bytes: int = 16 * GIBIBYTE
    upload_seconds: float = 24 * 3600
    stall_seconds: float = 60
