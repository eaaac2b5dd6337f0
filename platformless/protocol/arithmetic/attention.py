"""One head of attention over the cache, without flash attention, in calls of two tokens or more.

The cache holds halves: the rotated key and the value, rounded. A query is rounded to halves, as are
the softmax's weights, and a product of two rows of halves keeps L singles (`Reference.lanes`):

    acc_l  fuse(a_i, b_i, acc_l) for i = l, l + L, l + 2L…, from 0;  the result is `tree_sum`

llama.cpp multiplies by whole multiples of 256 places; those after the position have the weight 0
and leave every acc as it is, so only what is up to the position is needed. The softmax, with m the
largest of the scaled scores:

    e_i    exponential(score_i * scale - m), 0 after the position
    sum    in doubles, one after another: the tree sums of L neighbours each
    out_i  e_i * single(1 / sum)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import ShapesDiffer
from .exponential import exponential
from .operations import Reference
from .rounding import Halves, Singles, accumulate, require_normal, to_half, tree_sum


def cached(rows: Singles) -> Halves:
    """Rotated keys, or values, as the cache holds them.

    Raises:
        NotFinite, Denormal: for such rows.
    """
    require_normal("a row for the cache", rows)
    return to_half(rows)


def key_products(reference: Reference, query: Singles, keys: Halves) -> Singles:
    """Scores of queries (queries, dimensions) and cached keys (positions, dimensions):
    (queries, positions).

    Raises:
        ShapesDiffer: when they do not go together.
        NotFinite, Denormal: for such values.
    """
    require_normal("a query", query)
    if query.shape[-1] % reference.lanes:
        raise ShapesDiffer(
            "a head of a wrong size", expected=f"a multiple of {reference.lanes}", got=query.shape
        )
    return _half_products(reference, to_half(query), keys)


def softmax(
    reference: Reference, scores: Singles, visible: npt.NDArray[np.integer], scale: np.float32
) -> Singles:
    """Weights of rows of scores (rows, positions); of row i, the first `visible[i]` count.

    Raises:
        ShapesDiffer: when a row has not so many.
        NotFinite, Denormal: for such values among those that count.
    """
    rows, length = scores.shape
    if len(visible) != rows or not ((visible > 0) & (visible <= length)).all():
        raise ShapesDiffer("rows without their positions", expected=f"1 to {length}", got=visible)
    counts = np.arange(length) < visible[:, None]
    known = np.where(counts, scores, np.float32(0))
    require_normal("a row of scores", known)
    scaled = known * scale
    peak = np.where(counts, scaled, -np.inf).max(axis=-1, keepdims=True).astype(np.float32)
    powers = np.where(counts, exponential(reference, scaled - peak), np.float32(0))
    padded = np.zeros((rows, -(-length // reference.lanes) * reference.lanes), np.float32)
    padded[:, :length] = powers
    parts = tree_sum(padded.reshape(rows, -1, reference.lanes)).astype(np.float64)
    total = np.add.accumulate(parts, axis=-1)[:, -1:]
    weights: Singles = powers * (1.0 / total).astype(np.float32)
    require_normal("a row of weights", weights)
    return weights


def value_products(reference: Reference, weights: Singles, values: Halves) -> Singles:
    """Weights (rows, positions) times cached values (positions, dimensions): (rows, dimensions).

    Raises:
        ShapesDiffer: when they do not go together.
        NotFinite, Denormal: for such values.
    """
    require_normal("a row of weights", weights)
    missing = -weights.shape[-1] % reference.lanes
    padded = np.pad(to_half(weights), ((0, 0), (0, missing)))
    return _half_products(reference, padded, np.pad(values, ((0, missing), (0, 0))).T)


def _half_products(reference: Reference, left: Halves, right: Halves) -> Singles:
    if left.shape[-1] != right.shape[-1]:
        raise ShapesDiffer("rows of different length", expected=left.shape, got=right.shape)
    require_normal("a half", left, right)
    a, b = (_steps(side, reference.lanes) for side in (left, right))
    lanes = np.zeros((len(left), len(right), reference.lanes), np.float32)
    for step in range(len(a)):
        lanes = accumulate(a[step][:, None] * b[step][None], lanes)
    return tree_sum(lanes)


def _steps(side: Halves, lanes: int) -> npt.NDArray[np.float64]:
    """(steps, rows, lanes): what is multiplied at one step lies together."""
    split = side.astype(np.float64).reshape(len(side), -1, lanes).transpose(1, 0, 2)
    return np.ascontiguousarray(split)
