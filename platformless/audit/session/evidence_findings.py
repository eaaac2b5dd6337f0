"""What is wrong with a checkpoint's evidence, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import PlatformlessError
from ...storage.errors import StorageError
from ..errors import JoinsNothing, KeyNeeded, NothingPublished
from ..evidence import CheckpointEvidence
from .errors import DeltaSealed
from .findings import Finding, Severity


def is_absent(problem: PlatformlessError) -> bool:
    """Whether something could not be had, or joins what could not be had: nothing speaks against
    it, and nothing for it."""
    return isinstance(problem, (StorageError, NothingPublished, JoinsNothing))


def evidence_findings(item: CheckpointEvidence) -> Iterator[Finding]:
    """What is absent is for the policy to judge (unproven tokens, missing deltas); what is wrong is
    an error."""
    number = item.place.number
    if isinstance(item.problem, KeyNeeded):
        sealed = DeltaSealed(
            f"delta {number} is sealed: only its signature was checked",
            expected=item.problem.expected,
        )
        yield Finding.of(sealed, Severity.NOTE, number)
    elif item.problem is not None:
        yield Finding.of(item.problem, _severity(item.problem), number)
    if item.proof_problem is not None:
        yield Finding.of(item.proof_problem, _severity(item.proof_problem), number)


def _severity(problem: PlatformlessError) -> Severity:
    return Severity.WARNING if is_absent(problem) else Severity.ERROR
