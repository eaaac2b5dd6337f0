"""Errors of values and encodings.

ProtocolError
├── ValueOutOfRange      PRO-001   a number or a byte string that does not fit its field
├── TranscriptError      PRO-002   an entry that may not follow
├── WindowError          PRO-003   a checkpoint window that cannot be claimed
├── ClaimFormatError     PRO-004   journal bytes that are not a claim
├── BundleFormatError    PRO-005   bytes that are not a bundle
├── RecordFormatError    PRO-006   a document that is not a session record
├── SignatureFormatError PRO-007   bytes that are not a recoverable signature
├── SealBroken           PRO-008   sealed bytes that a key does not open
├── DeltaFormatError     PRO-009   bytes that are not a delta
├── IndexFormatError     PRO-010   bytes that are not a checkpoint index
├── IndexConflict        PRO-011   a checkpoint that does not fit the index
├── EnvelopeBroken       PRO-012   an encrypted frame that cannot be opened or used
├── FrameRefused         PRO-013   a WebSocket frame that cannot be read; has the wire's code
├── PromptFormatError    PRO-014   the text of a prompt entry that cannot be read
├── UpdateRefused        PRO-015   what a host says of the transcript cannot be true
├── NodeRecordRefused    PRO-016   a node record that is none, not its host's, or not of now
├── trace.errors         TRC-…     a trace's shape, order, opening or challenge
├── arithmetic.errors    ARI-…     what the reference arithmetic does not compute
└── sample.errors        SMP-…     a plan, facts or witness of a sample proof
"""

from __future__ import annotations

from ..errors import PlatformlessError


class ProtocolError(PlatformlessError):
    """A value or an encoding breaks its rules."""

    code = "PRO-000"
    outcome = "invalid"
    exit_status = 2


class ValueOutOfRange(ProtocolError):
    code = "PRO-001"


class TranscriptError(ProtocolError):
    code = "PRO-002"


class WindowError(ProtocolError):
    code = "PRO-003"


class ClaimFormatError(ProtocolError):
    code = "PRO-004"


class BundleFormatError(ProtocolError):
    code = "PRO-005"


class RecordFormatError(ProtocolError):
    code = "PRO-006"
    advice = "compare the record with docs/formats.md"


class SignatureFormatError(ProtocolError):
    code = "PRO-007"


class SealBroken(ProtocolError):
    code = "PRO-008"
    advice = "use the private key of the recovery key that the session began with"


class DeltaFormatError(ProtocolError):
    code = "PRO-009"


class IndexFormatError(ProtocolError):
    code = "PRO-010"


class IndexConflict(ProtocolError):
    code = "PRO-011"


class EnvelopeBroken(ProtocolError):
    code = "PRO-012"


class FrameRefused(ProtocolError):
    """`wire_code` is what the client is told, as the existing node names it."""

    code = "PRO-013"

    def __init__(
        self, wire_code: str, message: str, *, expected: object = None, got: object = None
    ) -> None:
        super().__init__(message, expected=expected, got=got)
        self.wire_code = wire_code


class PromptFormatError(ProtocolError):
    code = "PRO-014"


class UpdateRefused(ProtocolError):
    """The host's account of the transcript does not add up."""

    code = "PRO-015"
    outcome = "rejected"
    exit_status = 1


class NodeRecordRefused(ProtocolError):
    """What is said of a host's node is not believed."""

    code = "PRO-016"
    outcome = "rejected"
    exit_status = 1
