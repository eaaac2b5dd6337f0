"""What lies between the products: embedding, norm, residual sum, gate."""

from __future__ import annotations

import numpy as np

from .blocks import WeightRows, WeightType
from .errors import ShapesDiffer
from .exponential import exponential
from .operations import Reference
from .rounding import Singles, require_normal


def embeddings(rows: WeightRows) -> Singles:
    """Rows of the embedding tensor as singles: (rows, values). Everything but the last rounding is
    exact in a double.

    Raises:
        Denormal: for such values.
    """
    counts, blocks, _ = rows.q.shape
    groups = rows.scales.shape[2]
    q = rows.q - 32 if rows.type is WeightType.Q6_K else rows.q
    split = q.reshape(counts, blocks, groups, -1).astype(np.float64)
    found = split * (rows.d[..., None] * rows.scales)[..., None]
    if rows.type is WeightType.Q4_1:
        found = found + rows.m[..., None, None]
    elif rows.type is WeightType.Q4_K:
        found = found - (rows.m[..., None] * rows.minima)[..., None]
    values: Singles = found.astype(np.float32).reshape(counts, -1)
    require_normal("an embedding", values)
    return values


def norm(rows: Singles, weight: Singles, epsilon: np.float32) -> Singles:
    """RMSNorm times weight: (rows, values).

        sum    in doubles, one after another: the singles x_i * x_i
        scale  1 / sqrt(single(sum / values) + epsilon), in singles
        out_i  (x_i * scale) * weight_i, in singles

    Raises:
        ShapesDiffer: when the weight is of another length.
        NotFinite, Denormal: for such values.
    """
    if weight.shape != rows.shape[1:]:
        raise ShapesDiffer("a norm's weight", expected=rows.shape[1:], got=weight.shape)
    require_normal("an input of a norm", rows, weight)
    squares = (rows * rows).astype(np.float64)
    total = np.add.accumulate(squares, axis=-1)[:, -1:]
    mean = (total / rows.shape[-1]).astype(np.float32)
    scale = np.float32(1) / np.sqrt(mean + epsilon)
    require_normal("the scale of a norm", scale)
    found: Singles = (rows * scale) * weight
    require_normal("an output of a norm", found)
    return found


def residual(left: Singles, right: Singles) -> Singles:
    """The sum of two rows, element by element.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    if left.shape != right.shape:
        raise ShapesDiffer("rows of a sum", expected=left.shape, got=right.shape)
    require_normal("a row of a sum", left, right)
    found: Singles = left + right
    require_normal("a sum", found)
    return found


def gate(reference: Reference, gates: Singles, ups: Singles) -> Singles:
    """silu(gate) * up, element by element: (gate / (1 + exponential(0 - gate))) * up.

    llama.cpp does the last elements of a row whose length is no multiple of its vectors' with the
    platform's own exponential, so only whole multiples are taken.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    if gates.shape != ups.shape:
        raise ShapesDiffer("rows of a gate", expected=gates.shape, got=ups.shape)
    require_normal("a row of a gate", gates, ups)
    power = exponential(reference, np.float32(0) - gates)
    found: Singles = (gates / (np.float32(1) + power)) * ups
    require_normal("an output of a gate", found)
    return found
