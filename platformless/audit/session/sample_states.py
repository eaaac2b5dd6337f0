"""What is known of the sampled cells of one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ...protocol.transcript import Tokens
from ..sample import SampleReport

_NONE = Tokens(0)


class SampleState(StrEnum):
    """How a checkpoint with an accepted proof stands with its sampled cells."""

    UNTRACED = "untraced"
    """Its claim commits to no computation."""
    WAITING = "waiting"
    """The block that draws is still to come."""
    NOT_DRAWN = "not drawn"
    """At the policy's rate it needs no proof, and none was had."""
    MISSING = "missing"
    REJECTED = "rejected"
    UNCHECKED_FACTS = "unchecked facts"
    """The proof is right for some model; nobody here knows whether it is the one that was sold."""
    ACCEPTED = "accepted"

    @property
    def is_open(self) -> bool:
        """Whether a proof may still come."""
        return self in (SampleState.WAITING, SampleState.MISSING)


@dataclass(frozen=True, slots=True)
class CheckpointSample:
    """The sampled cells of one checkpoint."""

    state: SampleState
    covered: Tokens = _NONE
    """Tokens that it bills and that are in the context of the accepted proof."""
    spared: Tokens = _NONE
    """Other tokens that it bills, as it was not drawn."""
    report: SampleReport | None = None
    """Of a proof that is right as far as it was compared."""

    def sparing(self, tokens: Tokens) -> CheckpointSample:
        """The same of a checkpoint of so many tokens that was not drawn."""
        return replace(self, spared=Tokens(tokens - self.covered))

    def to_json(self) -> dict[str, Any]:
        report = self.report
        claim = report.claim if report is not None else None
        return {
            "state": self.state.value,
            "covered_tokens": self.covered,
            "spared_tokens": self.spared,
            "least_draws": report.least_draws if report else None,
            "kinds": len(claim.cells) if claim else None,
            "cells": claim.plan.cells if claim else None,
            "positions": claim.layout.positions if claim else None,
            "first_entry": claim.first_entry if claim else None,
            "beacon_block": claim.beacon_number if claim else None,
            "model_facts": str(claim.model) if claim else None,
            "proof_hash": str(report.proof_hash) if report else None,
            "bytes": report.bundle_bytes if report else None,
            "unchecked": [one.value for one in report.unchecked] if report else [],
        }
