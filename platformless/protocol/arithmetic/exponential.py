"""ggml's exponential of singles, bit for bit: a polynomial and a scaling, no library function.

z = fuse(x, log2(e), 1.5 * 2^23) has the integer n nearest to x / ln 2 in its last bits; with
b = x - n * ln 2, in two steps, exp(x) = 2^n * exp(b). Builds with AVX-512 end otherwise than builds
with AVX2, which changes last bits. Constants: ggml/src/ggml-cpu/vec.h, `ggml_v_expf`.
"""

from __future__ import annotations

import numpy as np

from .operations import Reference
from .rounding import Singles, fuse


def _single(text: str) -> np.float32:
    return np.float32(float.fromhex(text))


_SHIFT = _single("0x1.8p23")
_LOG2_E = _single("0x1.715476p+0")
_LN2_HIGH = _single("0x1.62e4p-1")
_LN2_LOW = _single("0x1.7f7d1cp-20")
_C1 = _single("0x1.ffffecp-1")
_C2 = _single("0x1.fffdb6p-2")
_C3 = _single("0x1.555e66p-3")
_C4 = _single("0x1.573e2ep-5")
_C5 = _single("0x1.0e4020p-7")
_ONE_BITS = np.uint32(0x3F800000)


def exponential(reference: Reference, x: Singles) -> Singles:
    """exp(x) for finite x; 0 and infinity beyond the singles, denormals where they fall."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        z = fuse(x, _like(x, _LOG2_E), _like(x, _SHIFT))
        n = z - _SHIFT
        b = fuse(-n, _like(x, _LN2_LOW), fuse(-n, _like(x, _LN2_HIGH), x))
        u = b * b
        upper = fuse(_like(x, _C5), b, _like(x, _C4))
        lower = fuse(_like(x, _C3), b, _like(x, _C2))
        upper = fuse(upper, u, lower)
        if reference is Reference.AVX512:
            return _scaled(fuse(upper, u, fuse(_like(x, _C1), b, _like(x, np.float32(1)))), n)
        return _multiplied(fuse(upper, u, _C1 * b), n, z)


def _scaled(j: Singles, n: Singles) -> Singles:
    """j * 2^n with one rounding (`scalef`)."""
    power = np.ldexp(1.0, np.clip(n, -193, 193).astype(np.int32))
    found = (j.astype(np.float64) * power).astype(np.float32)
    beyond = np.where(n <= 0, np.float32(0), np.float32(np.inf))
    chosen: Singles = np.where(np.abs(n) > 192, beyond, found)
    return chosen


def _multiplied(j: Singles, n: Singles, z: Singles) -> Singles:
    """2^n * (1 + j): in one step where 2^n is a normal number, else in two."""
    e = z.view(np.uint32) << np.uint32(23)
    k = (e + _ONE_BITS).view(np.float32)
    found = fuse(j, k, k)
    far = np.abs(n) > 126
    if far.any():
        g = np.where(n <= 0, np.uint32(0x82000000), np.uint32(0))
        s1 = (g + np.uint32(0x7F000000)).view(np.float32)
        s2 = (e - g).view(np.float32)
        found = np.where(far, fuse(s2, j, s2) * s1, found)
        found = np.where(np.abs(n) > 192, s1 * s1, found)
    return found


def _like(x: Singles, constant: np.float32) -> Singles:
    return np.broadcast_to(constant, x.shape)
