"""One element of a product with a quantised weight matrix: a weight row times an activation row.

The activation row is quantised first (`quantise`): to Q8_1 for Q4_1, to Q8_K for Q4_K and Q6_K,
else to Q8_0. Then, block by block, ggml's AVX2 kernels keep eight singles ("lanes"):

    n_l     an integer: the sum of q_w * q_x over the values 4l to 4l + 3 of every run of 32 values,
            in Q4_K and Q6_K each run's part times the scale of its group
    acc_l   fuse(d, n_l, acc_l), from 0;  d = d_w * d_x, rounded to single (exact for two halves)

and the result is `tree_sum` of the lanes. Q4_1 adds a chain of its own, summs = fuse(m, s, summs).
Q4_K adds the tree sum of four lanes, acc_j = fuse(-(d_x * dmin), p_j, acc_j), where p_j is the sum
of min * (sum of q_x) over the runs 2j and 2j + 1. Q6_K has q_w as it lies, 0 to 63, and takes
32 * (scale * (sum of q_x)), over the groups 2l and 2l + 1, off n_l.

Integers are exact in every order; d * n_l is exact in a double, as `accumulate` needs: the d of two
halves has 22 bits, a single 24, n_l as a single 24.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .blocks import WeightRows, WeightType
from .errors import ShapesDiffer
from .quantise import LANES, Integers, Quantised, q8_0, q8_1, q8_k
from .rounding import Doubles, Singles, accumulate, require_normal, tree_sum

_TILE = 1 << 14
"""Cells at a time: what the lanes of so many take fits a processor's cache."""
_QUANTISERS: dict[WeightType, Callable[[Singles], Quantised]] = {
    WeightType.Q4_0: q8_0,
    WeightType.Q4_1: q8_1,
    WeightType.Q8_0: q8_0,
    WeightType.Q4_K: q8_k,
    WeightType.Q6_K: q8_k,
}


def quantise_for(weights: WeightType, rows: Singles) -> Quantised:
    """Activation rows (rows, values) as they are before a product with weights of that type.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    return _QUANTISERS[weights](rows)


def cells(weights: WeightRows, rows: Quantised) -> Singles:
    """The i-th weight row times the i-th activation row: (rows,).

    Raises:
        ShapesDiffer: when they do not go together.
    """
    if len(weights) != len(rows.d):
        raise ShapesDiffer("not as many rows as weights", expected=len(weights), got=len(rows.d))
    return _Pairing(weights, rows, each_with_each=False).result()


def products(weights: WeightRows, rows: Quantised) -> Singles:
    """Each activation row times each weight row: (activation rows, weight rows).

    Raises:
        ShapesDiffer: when they do not go together.
    """
    some = min(len(rows.d), 32)
    step = max(_TILE // max(some, 1), 1)
    found = np.empty((len(rows.d), len(weights)), np.float32)
    for first in range(0, len(weights), step):
        part = weights.take(slice(first, first + step))
        for row in range(0, len(rows.d), some):
            these = slice(row, row + some)
            pairing = _Pairing(part, rows.take(these), each_with_each=True)
            found[these, first : first + step] = pairing.result()
    return found


class _Pairing:
    """Weight rows and activation rows, with the shape of what they give."""

    def __init__(self, weights: WeightRows, rows: Quantised, *, each_with_each: bool) -> None:
        expected, got = weights.q.shape[1:], rows.q.shape[1:]
        if expected != got or (weights.type is WeightType.Q4_1) != bool(rows.s.shape[1]):
            raise ShapesDiffer(
                "the activation row is not for these weights", expected=expected, got=got
            )
        self._weights, self._rows, self._all = weights, rows, each_with_each
        self._runs = weights.q.shape[2] // 32
        # (blocks, runs, lanes, rows, 4): what belongs to one lane lies together.
        self._q = _by_lane(weights.q)
        self._x = _by_lane(rows.q)
        if each_with_each:
            self._q = np.ascontiguousarray(self._q.swapaxes(-1, -2))

    def result(self) -> Singles:
        weights, rows = self._weights, self._rows
        blocks = weights.q.shape[1]
        lanes: Singles | None = None
        chain: Singles | None = None
        for block in range(blocks):
            d = self._scale(weights.d[:, block], rows.d[:, block])
            sums = self._lane_sums(block)
            if lanes is None:
                lanes = np.zeros(sums.shape, np.float32)
            lanes = accumulate(d * sums, lanes)
            if weights.m.shape[1]:
                addend = self._minimum(block)
                chain = accumulate(
                    addend, np.zeros(addend.shape, np.float32) if chain is None else chain
                )
        if lanes is None:
            raise ShapesDiffer("an empty row", expected="at least one block", got=0)
        total = tree_sum(np.moveaxis(lanes, 0, -1))
        if chain is not None:
            total = total + (tree_sum(np.moveaxis(chain, 0, -1)) if self._runs > 1 else chain)
        require_normal("a product", total)
        return total

    def _scale(self, of_weights: Doubles, of_rows: Doubles) -> Doubles:
        """Rounded to single, as a double."""
        paired = self._pair(of_weights, of_rows)
        return paired.astype(np.float32).astype(np.float64)

    def _pair(self, of_weights: Doubles, of_rows: Doubles) -> Doubles:
        if self._all:
            paired: Doubles = of_rows[:, None] * of_weights[None, :]
            return paired
        return of_rows * of_weights

    def _lane_sums(self, block: int) -> Doubles:
        """n_l rounded to single, as doubles: lanes first."""
        weights = self._weights
        if self._runs == 1:
            return self._dot(self._x[block, 0], self._q[block, 0]).astype(np.float64)
        groups = weights.scales.shape[2]
        each = groups // self._runs  # groups of a run
        total: Doubles | float = 0.0
        for run in range(self._runs):
            scales = weights.scales[:, block, run * each : (run + 1) * each].T.astype(np.float64)
            by_lane = np.repeat(scales, LANES // each, axis=0)
            part = self._dot(self._x[block, run], self._q[block, run]).astype(np.float64)
            total = total + part * (by_lane[:, None, :] if self._all else by_lane)
        if weights.type is WeightType.Q6_K:
            total = total - 32 * self._group_sums(weights.scales[:, block], block)
        return np.asarray(total).astype(np.float32).astype(np.float64)

    def _group_sums(self, of_weights: Integers, block: int) -> Doubles:
        """Of the groups 2j and 2j + 1, the sum of (the weights' number) * (sum of q_x): j first."""
        groups = of_weights.shape[-1]
        x = self._rows.q[:, block].reshape(len(self._rows.d), groups, -1).sum(axis=-1)
        left = x.reshape(len(x), groups // 2, 2).swapaxes(0, 1).astype(np.float64)
        right = (
            of_weights.reshape(len(of_weights), groups // 2, 2).swapaxes(0, 1).astype(np.float64)
        )
        if self._all:
            found: Doubles = left @ right.swapaxes(-1, -2)
            return found
        paired: Doubles = (left * right).sum(axis=-1)
        return paired

    def _minimum(self, block: int) -> Doubles:
        """What is added to the chain of minima."""
        weights, rows = self._weights, self._rows
        if weights.type is WeightType.Q4_1:
            return self._pair(weights.m[:, block], rows.s[:, block])
        scale = -self._scale(weights.m[:, block], rows.d[:, block])
        return scale * self._group_sums(weights.minima[:, block], block)

    def _dot(self, x: Singles, q: Singles) -> Singles:
        """Sums of four products, exact in singles whatever their order: lanes first."""
        found: Singles = x @ q if self._all else (x * q).sum(axis=-1)
        return found


def _by_lane(q: Integers) -> Singles:
    rows, blocks, values = q.shape
    split = q.reshape(rows, blocks, values // 32, LANES, 4).transpose(1, 2, 3, 0, 4)
    return np.ascontiguousarray(split, dtype=np.float32)
