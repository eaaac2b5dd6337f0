"""A report as a program reads it: the published format `session-audit/1`, field by field.

`docs/schemas/session-audit-1.json` is made of these classes (`python -m
platformless.audit.session.document`). Within version 1 fields are only added; readers pass over
what they do not know, so they decode with classes of their own, or with these.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Digest = Annotated[str, Meta(pattern="^0x[0-9a-f]{64}$")]
Address = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")]
Whole = Annotated[str, Meta(pattern="^[0-9]+$", description="A whole number of any size.")]
Count = Annotated[int, Meta(ge=0)]


class CoverageRow(Struct, frozen=True, forbid_unknown_fields=True):
    component: str
    coverage: Literal["proven", "sampled", "checked", "not covered"]
    meaning: str


class SessionFields(Struct, frozen=True, forbid_unknown_fields=True):
    """Times are Unix seconds."""

    id: Whole
    chain_id: int
    marketplace: Address
    host: Address
    client: Address
    model_id: Digest
    status: Literal["active", "completed", "timed_out"]
    started: Count
    last_proof: Count


class ReadAt(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest block when the chain was read."""

    block: Count
    hash: Digest
    time: Count


class TokenFields(Struct, frozen=True, forbid_unknown_fields=True):
    """Completion tokens."""

    claimed: Count
    proven: Count
    unproven: Count
    acknowledged: Count
    sampled: Count
    spared: Count


class PaymentFields(Struct, frozen=True, forbid_unknown_fields=True):
    """Amounts are in base units of the token."""

    token: str
    decimals: Count
    deposit: Whole
    due: Whole
    paid_to_host: Whole
    refunded: Whole
    treasury: Whole
    price: str
    tokens: Count
    settled: bool
    early_end: bool


class BundleFields(Struct, frozen=True, forbid_unknown_fields=True):
    bytes: Count
    receipt_kind: str
    image_id: Digest
    zkvm: str


class SampleFields(Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint's sampled cells; null is what no proof says. `least_draws` is of the kind of
    which fewest cells were drawn, `unchecked` what there was nothing to compare with."""

    state: Literal[
        "untraced", "waiting", "not drawn", "missing", "rejected", "unchecked facts", "accepted"
    ]
    covered_tokens: Count
    spared_tokens: Count
    least_draws: Count | None
    kinds: Count | None
    cells: Count | None
    positions: Count | None
    first_entry: Count | None
    beacon_block: Count | None
    model_facts: Digest | None
    proof_hash: Digest | None
    bytes: Count | None
    unchecked: list[str]


class CheckpointFields(Struct, frozen=True, forbid_unknown_fields=True):
    """`bundle` and `state_after` are those of the checkpoint's own proof, if it was accepted;
    `sample` is null where no claim of the checkpoint was."""

    checkpoint: Count
    tokens: tuple[int, int]
    proof_hash: Digest
    proof_cid: str | None
    delta_cid: str
    block: int | None
    transaction: Digest | None
    time: int | None
    proven: bool
    delta: Literal["read", "sealed", "missing"]
    acknowledged: bool
    bundle: BundleFields | None
    state_after: Digest | None
    sample: SampleFields | None


class WholeSessionFields(BundleFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    proof_hash: Digest


class TranscriptFields(Struct, frozen=True, forbid_unknown_fields=True):
    entries: Count
    tokens: Count
    matched_tokens: Count


class FindingFields(Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[str, Meta(pattern="^[A-Z]{3}-[0-9]{3}$")]
    severity: Literal["error", "warning", "note"]
    message: str
    expected: str | None
    got: str | None
    meaning: str
    checkpoint: int | None


class PolicyFields(Struct, frozen=True, forbid_unknown_fields=True):
    minimum_assurance: Literal["accounting", "sampled", "replayed"]
    most_unproven_tokens: Count
    receipt_kinds: list[str]
    images: dict[str, Digest]
    require_acknowledgement: bool
    deltas: Literal["none", "published", "read"]
    require_index: bool
    require_settled: bool
    require_exact_replay: bool
    require_samples: bool
    sample_draws: Count
    sample_one_in: Count
    models: dict[str, Digest]


class AuditDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """The report of one audit."""

    format: Literal["session-audit/1"]
    outcome: Literal["accepted", "rejected"]
    assurance: Literal["accounting", "sampled", "replayed"] | None
    coverage: list[CoverageRow]
    session: SessionFields
    read_at: ReadAt
    tokens: TokenFields
    payment: PaymentFields
    checkpoints: list[CheckpointFields]
    whole_session: WholeSessionFields | None
    transcript: TranscriptFields | None
    replay: dict[str, Any] | None
    """As docs/replay.md has it."""
    findings: list[FindingFields]
    policy: PolicyFields
    trusted_images: dict[str, Digest]
    made_at: Count
    seconds: float


def schema() -> str:
    """The JSON Schema (2020-12) of a report."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "session-audit/1",
        **msgspec.json.schema(AuditDocument),
    }
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
