"""The options with which commands say how a proof is made."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console import BadInput

_RECEIPT_KINDS = ("composite", "succinct")

ReceiptKind = Annotated[str, typer.Option("--kind", help="composite or succinct.")]
MemoryGib = Annotated[
    float, typer.Option("--memory-gib", min=0.01, help="Memory that proving may take, in GiB.")
]


def require_receipt_kind(kind: str) -> None:
    """Raises:
    BadInput: when no prover makes such receipts.
    """
    if kind not in _RECEIPT_KINDS:
        raise BadInput("unknown receipt kind", expected=" or ".join(_RECEIPT_KINDS), got=kind)


def bytes_of(gib: float) -> int:
    return int(gib * 2**30)
