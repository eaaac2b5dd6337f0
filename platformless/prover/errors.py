"""Errors of proving.

ProverError                 PRV-000
├── ProverNotFound          PRV-001   no stark-prover binary
├── ProverCrashed           PRV-002   the process ended, or spoke nonsense
├── ProverRefused           PRV-003   stark-prover answered with an error (its code: STP-…)
├── DeadlineExceeded        PRV-004   a request took longer than allowed
├── ProofCancelled          PRV-005   cancelled by the caller
├── WrongClaim              PRV-006   the guest published another claim than the window's
└── ForeignImage            PRV-007   the binary carries another guest than the release trusts
"""

from __future__ import annotations

from ..errors import PlatformlessError


class ProverError(PlatformlessError):
    """A proof could not be made."""

    code = "PRV-000"


class ProverNotFound(ProverError):
    code = "PRV-001"
    advice = "build it with `make prover`, or set STARK_PROVER to its path"


class ProverCrashed(ProverError):
    code = "PRV-002"
    advice = "if the kernel killed it for memory, give a smaller --memory-gib"


class ProverRefused(ProverError):
    """`prover_code` is the code of stark-prover's own error (docs/stark-prover.md)."""

    code = "PRV-003"

    def __init__(
        self, prover_code: str, message: str, *, expected: object = None, got: object = None
    ) -> None:
        super().__init__(f"{prover_code} {message}", expected=expected, got=got)
        self.prover_code = prover_code


class DeadlineExceeded(ProverError):
    code = "PRV-004"


class ProofCancelled(ProverError):
    code = "PRV-005"


class WrongClaim(ProverError):
    code = "PRV-006"
    advice = "guest and package are of different versions: build both again"


class ForeignImage(ProverError):
    code = "PRV-007"
    advice = "build stark-prover again with `make prover`"
