"""Errors of verification.

Rejection                    VER-000   a proof or a claim is not accepted; carries its step
├── MalformedBundle          VER-101   step 1
├── UnknownClaimKind         VER-102
├── OverstatedAssurance      VER-103
├── ReceiptKindNotAllowed    VER-201   step 2
├── ReceiptKindMismatch      VER-202
├── ForeignProofSystem       VER-203
├── UntrustedImage           VER-301   step 3
├── MalformedReceipt         VER-401   step 4
├── InvalidSeal              VER-402
├── ImageMismatch            VER-403
├── GuestFailed              VER-404
├── JournalMismatch          VER-405
├── VerifierTrapped          VER-406
├── MalformedClaim           VER-501   step 5
├── UnexpectedClaim          VER-601   step 6
├── AcknowledgementMissing   VER-701   step 7
├── AcknowledgementInvalid   VER-702
├── AcknowledgementForeign   VER-703
├── AcknowledgementMisplaced VER-704
└── UnexpectedSample         VER-800   step 6, of a proof of sampled cells
    ├── SampleOfOtherSession     VER-801   another header, or other terms
    ├── SampleOfOtherCheckpoint  VER-802   another state, or other tokens
    ├── SampleOfOtherTrace       VER-803   another root than the checkpoint committed to
    ├── SampleOfNoTrace          VER-804   the root of no trace
    ├── BeaconForeign            VER-805   not the block behind the submission, or not its hash
    ├── KindsLeftOut             VER-806   no cells of a kind
    ├── TooFewDraws              VER-807   fewer cells of a kind than the policy asks for
    ├── PositionsLeftOut         VER-808   positions from which no cell could be drawn
    ├── ModelFactsForeign        VER-809   facts of another model than that of the weights root
    └── ContextForeign           VER-810   a context that does not begin where it says
VerifierError                VRF-000   the check could not run
└── VerifierDamaged          VRF-001   the module or the trusted list is not what was released
RecoveryProblem              RCV-000   a checkpoint's conversation cannot be had, or not trusted
├── NothingPublished         RCV-001   the chain names no delta, or no proof
├── KeyNeeded                RCV-002   the delta is sealed and no key was given
├── ForeignDelta             RCV-003   the session's host did not sign it
├── DeltaMismatch            RCV-004   it is the delta of another checkpoint
├── DeltaNotInClaim          RCV-005   the proven claim commits to another content
├── BundleMismatch           RCV-006   the bundle is not the one whose hash is on chain
└── EventMismatch            RCV-007   the chain's events and its storage differ
    └── JoinsNothing         RCV-008   there is no accepted claim before this one
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from ..errors import PlatformlessError


class Step(IntEnum):
    """The steps of verification, in order (docs/proofs.md, "Verification")."""

    PARSE = 1
    RECEIPT_KIND = 2
    IMAGE = 3
    STARK = 4
    CLAIM = 5
    EXPECTATION = 6
    ACKNOWLEDGEMENT = 7

    @property
    def title(self) -> str:
        return _TITLES[self]


_TITLES = {
    Step.PARSE: "bundle",
    Step.RECEIPT_KIND: "receipt kind",
    Step.IMAGE: "guest program",
    Step.STARK: "proof",
    Step.CLAIM: "claim",
    Step.EXPECTATION: "expectations",
    Step.ACKNOWLEDGEMENT: "acknowledgement",
}


class Rejection(PlatformlessError):
    """A proof that is not accepted."""

    code = "VER-000"
    outcome = "rejected"
    exit_status = 1
    step: ClassVar[Step]

    def __str__(self) -> str:
        return f"step {self.step.value} ({self.step.title}): {super().__str__()}"

    def to_json(self) -> dict[str, str]:
        return {"step": str(self.step.value), **super().to_json()}


class MalformedBundle(Rejection):
    code = "VER-101"
    step = Step.PARSE


class UnknownClaimKind(Rejection):
    code = "VER-102"
    step = Step.PARSE


class OverstatedAssurance(Rejection):
    code = "VER-103"
    step = Step.PARSE


class ReceiptKindNotAllowed(Rejection):
    code = "VER-201"
    step = Step.RECEIPT_KIND


class ReceiptKindMismatch(Rejection):
    code = "VER-202"
    step = Step.RECEIPT_KIND


class ForeignProofSystem(Rejection):
    code = "VER-203"
    step = Step.RECEIPT_KIND


class UntrustedImage(Rejection):
    code = "VER-301"
    step = Step.IMAGE


class MalformedReceipt(Rejection):
    code = "VER-401"
    step = Step.STARK


class InvalidSeal(Rejection):
    code = "VER-402"
    step = Step.STARK


class ImageMismatch(Rejection):
    code = "VER-403"
    step = Step.STARK


class GuestFailed(Rejection):
    code = "VER-404"
    step = Step.STARK


class JournalMismatch(Rejection):
    code = "VER-405"
    step = Step.STARK


class VerifierTrapped(Rejection):
    code = "VER-406"
    step = Step.STARK


class MalformedClaim(Rejection):
    code = "VER-501"
    step = Step.CLAIM


class UnexpectedClaim(Rejection):
    code = "VER-601"
    step = Step.EXPECTATION


class AcknowledgementMissing(Rejection):
    code = "VER-701"
    step = Step.ACKNOWLEDGEMENT


class AcknowledgementInvalid(Rejection):
    code = "VER-702"
    step = Step.ACKNOWLEDGEMENT


class AcknowledgementForeign(Rejection):
    code = "VER-703"
    step = Step.ACKNOWLEDGEMENT


class AcknowledgementMisplaced(Rejection):
    code = "VER-704"
    step = Step.ACKNOWLEDGEMENT


class UnexpectedSample(Rejection):
    """A true proof of sampled cells that is not the one the auditor expects."""

    code = "VER-800"
    step = Step.EXPECTATION


class SampleOfOtherSession(UnexpectedSample):
    code = "VER-801"


class SampleOfOtherCheckpoint(UnexpectedSample):
    code = "VER-802"


class SampleOfOtherTrace(UnexpectedSample):
    code = "VER-803"


class SampleOfNoTrace(UnexpectedSample):
    code = "VER-804"


class BeaconForeign(UnexpectedSample):
    code = "VER-805"


class KindsLeftOut(UnexpectedSample):
    code = "VER-806"


class TooFewDraws(UnexpectedSample):
    code = "VER-807"


class PositionsLeftOut(UnexpectedSample):
    code = "VER-808"


class ModelFactsForeign(UnexpectedSample):
    code = "VER-809"


class ContextForeign(UnexpectedSample):
    code = "VER-810"


class VerifierError(PlatformlessError):
    """The check could not run; nothing is said about the proof."""

    code = "VRF-000"


class VerifierDamaged(VerifierError):
    code = "VRF-001"
    advice = "install the package again"


class RecoveryProblem(PlatformlessError):
    """A checkpoint's conversation cannot be had, or not trusted."""

    code = "RCV-000"


class NothingPublished(RecoveryProblem):
    code = "RCV-001"


class KeyNeeded(RecoveryProblem):
    code = "RCV-002"
    advice = "give the private key of the recovery key that the session began with"


class ForeignDelta(RecoveryProblem):
    code = "RCV-003"


class DeltaMismatch(RecoveryProblem):
    code = "RCV-004"


class DeltaNotInClaim(RecoveryProblem):
    code = "RCV-005"


class BundleMismatch(RecoveryProblem):
    code = "RCV-006"


class EventMismatch(RecoveryProblem):
    code = "RCV-007"


class JoinsNothing(EventMismatch):
    code = "RCV-008"
