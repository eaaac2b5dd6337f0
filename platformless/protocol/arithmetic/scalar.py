"""The same arithmetic on integers, one number at a time: how a guest without floats does it.

A single is its 32 bits. A finite one is taken apart into (m, e), worth m * 2^e with a signed
integer m, so that products and sums are exact and only `pack` rounds. `weight_product` and
`half_product` are the products of `products` and `attention` written with nothing else; tests
compare them.
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import NotFinite

_FRACTION, _BIAS = 23, 127
_HALF_FRACTION, _HALF_BIAS = 10, 15
Dyadic = tuple[int, int]
"""(m, e), worth m * 2^e."""


def take_apart(bits: int) -> Dyadic:
    """The exact worth of a single.

    Raises:
        NotFinite: for an infinity or a NaN.
    """
    return _take_apart(bits, _FRACTION, _BIAS)


def take_half_apart(bits: int) -> Dyadic:
    """The exact worth of a half.

    Raises:
        NotFinite: for an infinity or a NaN.
    """
    return _take_apart(bits, _HALF_FRACTION, _HALF_BIAS)


def pack(value: Dyadic, *, negative_zero: bool = False) -> int:
    """The single nearest to `value`, ties to even.

    Raises:
        NotFinite: when it is beyond the singles.
    """
    return _pack(value, _FRACTION, _BIAS, negative_zero)


def pack_half(value: Dyadic, *, negative_zero: bool = False) -> int:
    """The half nearest to `value`, ties to even.

    Raises:
        NotFinite: when it is beyond the halves.
    """
    return _pack(value, _HALF_FRACTION, _HALF_BIAS, negative_zero)


def add(a: int, b: int) -> int:
    """The single a + b."""
    both_negative = bool(a >> 31) and bool(b >> 31)
    return pack(_plus(take_apart(a), take_apart(b)), negative_zero=both_negative)


def multiply(a: int, b: int) -> int:
    """The single a * b."""
    return pack(_times(take_apart(a), take_apart(b)), negative_zero=bool((a ^ b) >> 31))


def fuse(a: Dyadic, b: Dyadic, c: int) -> int:
    """The single a * b + c, rounded once; a sum of zero is +0."""
    return pack(_plus(_times(a, b), take_apart(c)))


def tree_sum(lanes: Sequence[int]) -> int:
    """Upper half onto the lower until one single is left."""
    left = list(lanes)
    while len(left) > 1:
        half = len(left) // 2
        left = [add(left[i], left[i + half]) for i in range(half)]
    return left[0]


def weight_product(
    scales: Sequence[tuple[Dyadic, Dyadic]],
    lane_sums: Sequence[Sequence[int]],
    minima: Sequence[tuple[Dyadic, Dyadic]],
) -> int:
    """A product of Q8_0, Q4_0 (no minima) or Q4_1.

    Args:
        scales: for each block the halves dw and dx.
        lane_sums: for each block the eight integers.
        minima: for each block the halves m and s.
    """
    lanes = [0] * 8
    for (dw, dx), sums in zip(scales, lane_sums, strict=True):
        d = _times(dw, dx)
        lanes = [fuse(d, (n, 0), lane) for n, lane in zip(sums, lanes, strict=True)]
    chain = 0
    for m, s in minima:
        chain = fuse(m, s, chain)
    total = tree_sum(lanes)
    return add(total, chain) if minima else total


def half_product(left: Sequence[int], right: Sequence[int], lanes: int) -> int:
    """A product of two rows of halves, given as bits; their length is a multiple of `lanes`."""
    sums = [0] * lanes
    for place, (a, b) in enumerate(zip(left, right, strict=True)):
        lane = place % lanes
        sums[lane] = fuse(take_half_apart(a), take_half_apart(b), sums[lane])
    return tree_sum(sums)


def _take_apart(bits: int, fraction: int, bias: int) -> Dyadic:
    exponent_bits = 31 - _FRACTION if fraction == _FRACTION else 15 - _HALF_FRACTION
    exponent = bits >> fraction & (1 << exponent_bits) - 1
    m = bits & (1 << fraction) - 1
    if exponent == (1 << exponent_bits) - 1:
        raise NotFinite("an infinity or a NaN", got=hex(bits))
    if exponent:
        m |= 1 << fraction
    else:
        exponent = 1
    negative = bits >> (fraction + exponent_bits) & 1
    return (-m if negative else m), exponent - bias - fraction


def _pack(value: Dyadic, fraction: int, bias: int, negative_zero: bool) -> int:
    m, e = value
    top = 31 if fraction == _FRACTION else 15
    if m == 0:
        return int(negative_zero) << top
    size = abs(m)
    # The exponent of the last bit that the result keeps.
    last = max(e + size.bit_length() - 1 - fraction, 1 - bias - fraction)
    if last <= e:
        kept = size << (e - last)
    else:
        shift = last - e
        kept, rest = size >> shift, size & (1 << shift) - 1
        half = 1 << (shift - 1)
        kept += rest > half or (rest == half and kept & 1)
    # A carry out of the fraction goes into the exponent by itself.
    exponent = last + bias + fraction
    bits = kept + (exponent - 1 << fraction)
    if bits >= (2 * bias + 1) << fraction:
        raise NotFinite("a result is beyond the format", got=f"{m} * 2^{e}")
    return bits | int(m < 0) << top


def _times(a: Dyadic, b: Dyadic) -> Dyadic:
    return a[0] * b[0], a[1] + b[1]


def _plus(a: Dyadic, b: Dyadic) -> Dyadic:
    if a[0] == 0 or b[0] == 0:
        return b if a[0] == 0 else a
    e = min(a[1], b[1])
    return (a[0] << (a[1] - e)) + (b[0] << (b[1] - e)), e
