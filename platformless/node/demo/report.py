"""What a demo has shown, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FORMAT = "platformless-demo/1"


@dataclass(frozen=True, slots=True)
class ProvenCheckpoint:
    """One proof, from the host's ledger."""

    number: int
    tokens: int
    total_cycles: int
    """Padded to whole segments."""
    segments: int
    prove_seconds: float
    device: str
    bundle_bytes: int
    proof_hash: str
    proof_cid: str
    delta_cid: str
    transaction_hash: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SampledCheckpoint:
    """The proof of a checkpoint's sampled cells, from the host's ledger."""

    number: int
    total_cycles: int
    """Padded to whole segments."""
    segments: int
    prove_seconds: float
    device: str
    bundle_bytes: int
    trace_root: str
    proof_cid: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Amounts are texts with their token."""

    session_id: int
    tokens: int
    """Completion tokens, verified by the client as they came."""
    stream_seconds: float
    checkpoints: tuple[ProvenCheckpoint, ...]
    samples: tuple[SampledCheckpoint, ...]
    """None in a demo that traces nothing."""
    settlement_transaction: str
    deposit: str
    host_earned: str
    client_refunded: str
    verified: bool
    """What `prove-session` said of the published proofs, with chain and portal alone."""
    assurance: str
    total_seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "session_id": self.session_id,
            "tokens": self.tokens,
            "stream_seconds": round(self.stream_seconds, 3),
            "checkpoints": [checkpoint.to_json() for checkpoint in self.checkpoints],
            "samples": [sample.to_json() for sample in self.samples],
            "settlement_transaction": self.settlement_transaction,
            "deposit": self.deposit,
            "host_earned": self.host_earned,
            "client_refunded": self.client_refunded,
            "verified": self.verified,
            "assurance": self.assurance,
            "total_seconds": round(self.total_seconds, 3),
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same for a person, in short."""
        rows = [("session", str(self.session_id)), ("tokens", f"{self.tokens:,}")]
        for one in self.checkpoints:
            prefix = f"proof {one.number}: " if len(self.checkpoints) > 1 else ""
            rows += [
                (f"{prefix}cycles", f"{one.total_cycles:,} in {one.segments} segment(s)"),
                (f"{prefix}prove time", f"{one.prove_seconds:.1f} s on {one.device}"),
                (f"{prefix}bundle", f"{one.bundle_bytes:,} bytes"),
                (f"{prefix}CID", one.proof_cid),
                (f"{prefix}submitted in", one.transaction_hash),
            ]
        for sample in self.samples:
            prefix = f"cells {sample.number}: " if len(self.samples) > 1 else "cells: "
            rows += [
                (f"{prefix}cycles", f"{sample.total_cycles:,} in {sample.segments} segment(s)"),
                (f"{prefix}prove time", f"{sample.prove_seconds:.1f} s on {sample.device}"),
                (f"{prefix}bundle", f"{sample.bundle_bytes:,} bytes"),
                (f"{prefix}CID", sample.proof_cid),
            ]
        return [
            *rows,
            ("settled in", self.settlement_transaction),
            ("deposit", self.deposit),
            ("host earned", self.host_earned),
            ("client refunded", self.client_refunded),
            ("verified", f"{'yes' if self.verified else 'NO'} (assurance: {self.assurance})"),
            ("time in all", f"{self.total_seconds:.0f} s"),
        ]
