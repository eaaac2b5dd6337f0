"""Writes the cells that Python and Rust share: `python -m tests.vectors.make_arithmetic`.

Rows of singles, halves and weights are the hex digits of their bytes, as they lie in memory and in
GGUF files (little-endian); single numbers are the hex digits of their bits. Inputs are fixed, so
the file changes only when the arithmetic does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from platformless.protocol.arithmetic import attention, glue
from platformless.protocol.arithmetic.blocks import WeightType, weight_rows
from platformless.protocol.arithmetic.exponential import exponential
from platformless.protocol.arithmetic.operations import ROPE_BOUND, Reference
from platformless.protocol.arithmetic.products import cells, quantise_for
from platformless.protocol.arithmetic.rope import (
    Rope,
    RopeStyle,
    angle_scale,
    angles,
    cosine_and_sine,
    deviation,
)
from platformless.protocol.arithmetic.rounding import Singles, fuse, to_half, tree_sum

FILE = Path(__file__).with_name("arithmetic-cells.json")
EPSILON = np.float32(1e-5)
SCALE = np.float32(0.125)
Case = dict[str, Any]


def row(values: npt.NDArray[Any]) -> str:
    """The bytes of a row."""
    return np.ascontiguousarray(values).tobytes().hex()


def bits(value: Any) -> str:
    """The bits of one number."""
    return bytes(value.tobytes()[::-1]).hex()


def wild(rng: np.random.Generator, *shape: int) -> Singles:
    """Numbers from 2^-9 to 2^8, made of integers alone: the same on every platform."""
    sign, fraction = rng.integers(0, 2, shape), rng.integers(0, 1 << 23, shape)
    patterns = sign << 31 | rng.integers(118, 135, shape) << 23 | fraction
    return patterns.astype(np.uint32).view(np.float32)


def fixed(rng: np.random.Generator, low: float, high: float, *shape: int) -> Singles:
    """Multiples of 2^-12 in a range."""
    found: Singles = (rng.integers(int(low * 4096), int(high * 4096), shape) / 4096).astype("f4")
    return found


def document() -> Case:
    """What the file holds."""
    rng = np.random.default_rng(20)
    return {
        "format": "arithmetic-cells/1",
        "fuse": fused(rng),
        "to_half": halves(rng),
        "tree_sum": sums(rng),
        "exponential": exponentials(rng),
        "weight_product": weight_products(rng),
        "embedding": embeddings(rng),
        "norm": norms(rng),
        "residual": residuals(rng),
        "gate": gates(rng),
        "key_product": key_products(rng),
        "softmax": softmaxes(rng),
        "value_product": value_products(rng),
        "cosine_and_sine": turns(rng),
        "rope": rotations(rng),
    }


def fused(rng: np.random.Generator) -> list[list[str]]:
    """[a, b, c, a * b + c], with sums that vanish, ties and what is beside them."""
    a, b, c = wild(rng, 3, 60)
    c[:20] = -(a * b)[:20]
    c[20:40] = (a * b)[20:40] * np.float32(2.0**25)
    one, step = np.float32(1), np.float32(2.0**-24)
    a = np.append(a, [step, step, step * np.float32(1 + 2.0**-23), one])
    b = np.append(b, [one, one, np.float32(1 - 2.0**-23), -one])
    c = np.append(c, [one, np.float32(1 + 2.0**-23), one, one]).astype(np.float32)
    a, b = a.astype(np.float32), b.astype(np.float32)
    found = fuse(a, b, c)
    return [[bits(n) for n in line] for line in zip(a, b, c, found, strict=True)]


def halves(rng: np.random.Generator) -> list[list[str]]:
    """[single, half], with denormal halves and ties."""
    edges = [0, 65504, 65519, 2.0**-14, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 1 + 2.0**-11, -(2.0**-20)]
    values = np.concatenate([wild(rng, 20), wild(rng, 20) * 1e-6, edges]).astype(np.float32)
    return [[bits(n), bits(h)] for n, h in zip(values, to_half(values), strict=True)]


def sums(rng: np.random.Generator) -> list[Case]:
    made = [wild(rng, lanes) for lanes in (4, 8, 16)]
    return [{"lanes": row(lanes), "sum": bits(tree_sum(lanes))} for lanes in made]


def exponentials(rng: np.random.Generator) -> list[Case]:
    x = np.append(fixed(rng, -110, 89, 40), [0, -0.5, -87.5, -104, -200, 200]).astype(np.float32)
    return [
        {"reference": one.value, "x": row(x), "exp": row(exponential(one, x))} for one in Reference
    ]


def weight_products(rng: np.random.Generator) -> list[Case]:
    found = []
    for kind in WeightType:
        for values in (256, 768):
            weights, inputs = weight_bytes(rng, kind, values, 2), wild(rng, 2, values)
            inputs[1, :32] = 0
            out = cells(weight_rows(kind, weights, values), quantise_for(kind, inputs))
            for i in range(2):
                found.append(
                    {
                        "type": int(kind),
                        "input": row(inputs[i]),
                        "weight": weights[i * len(weights) // 2 :][: len(weights) // 2].hex(),
                        "output": bits(out[i]),
                    }
                )
    return found


def weight_bytes(rng: np.random.Generator, kind: WeightType, values: int, rows: int) -> bytes:
    """Random bits with scales of a usual size."""
    count = rows * values // kind.block_values
    raw = rng.integers(0, 256, (count, kind.block_bytes), np.uint8)
    places = {WeightType.Q4_1: (0, 2), WeightType.Q4_K: (0, 2), WeightType.Q6_K: (208,)}
    for place in places.get(kind, (0,)):
        scales = fixed(rng, -0.1, 0.1, count).astype(np.float16)
        raw[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    return raw.tobytes()


def embeddings(rng: np.random.Generator) -> list[Case]:
    found = []
    for kind in WeightType:
        weight = weight_bytes(rng, kind, 256, 1)
        values = glue.embeddings(weight_rows(kind, weight, 256))
        found.append({"type": int(kind), "weight": weight.hex(), "values": row(values)})
    return found


def norms(rng: np.random.Generator) -> list[Case]:
    inputs, weight = wild(rng, 1, 576), wild(rng, 576)
    return [
        {
            "input": row(inputs),
            "weight": row(weight),
            "epsilon": bits(EPSILON),
            "output": row(glue.norm(inputs, weight, EPSILON)),
        }
    ]


def residuals(rng: np.random.Generator) -> list[Case]:
    left, right = wild(rng, 2, 32)
    return [{"left": row(left), "right": row(right), "sum": row(glue.residual(left, right))}]


def gates(rng: np.random.Generator) -> list[Case]:
    given, up = wild(rng, 2, 48)
    given[:4] = [0, 20, -70, 90]
    return [
        {
            "reference": one.value,
            "gate": row(given),
            "up": row(up),
            "output": row(glue.gate(one, given, up)),
        }
        for one in Reference
    ]


def key_products(rng: np.random.Generator) -> list[Case]:
    query, key = wild(rng, 1, 64), wild(rng, 1, 64)
    return [
        {
            "reference": one.value,
            "query": row(query),
            "key": row(key),
            "score": bits(attention.key_products(one, query, attention.cached(key))[0, 0]),
        }
        for one in Reference
    ]


def softmaxes(rng: np.random.Generator) -> list[Case]:
    found = []
    for count in (1, 8, 17, 40):
        scores = fixed(rng, -100, 100, 1, count)
        for one in Reference:
            weights = attention.softmax(one, scores, np.array([count]), SCALE)
            found.append(
                {
                    "reference": one.value,
                    "scale": bits(SCALE),
                    "scores": row(scores),
                    "weights": row(weights),
                }
            )
    return found


def value_products(rng: np.random.Generator) -> list[Case]:
    found = []
    for count in (1, 16, 41):
        weights = fixed(rng, 0, 1, 1, count)
        values = to_half(wild(rng, count, 1))
        for one in Reference:
            out = attention.value_products(one, weights, values)
            found.append(
                {
                    "reference": one.value,
                    "weights": row(weights),
                    "values": row(values),
                    "output": bits(out[0, 0]),
                }
            )
    return found


def turns(rng: np.random.Generator) -> list[list[str]]:
    """[angle, cosine, sine], the latter in units of 2^-62, as decimal digits."""
    thetas = np.append(fixed(rng, 0, 4000, 20), [0, 1, 1e-5, 1e-30, 1.5707964, 131071])
    angles_ = [np.float32(theta) for theta in thetas]
    found = [cosine_and_sine(int(theta.view(np.uint32))) for theta in angles_]
    return [[bits(t), str(c), str(s)] for t, (c, s) in zip(angles_, found, strict=True)]


def rotations(rng: np.random.Generator) -> list[Case]:
    """Heads that are rotated in singles, and the same with one element off."""
    found = []
    for style in RopeStyle:
        rope = Rope(style, 64, angle_scale(np.float32(100000), 64))
        for position in (0, 1, 267, 8000):
            head = wild(rng, 64)
            rotated = rotated_in_singles(rope, position, head)
            off = rotated.copy()
            off[7] += np.abs(head).max() * np.float32(2.0**-18)
            for got in (rotated, off):
                found.append(
                    {
                        "style": int(style),
                        "position": position,
                        "angle_scale": bits(rope.scale),
                        "head": row(head),
                        "rotated": row(got),
                        "accepted": deviation(rope, position, head, got) <= ROPE_BOUND,
                    }
                )
    return found


def rotated_in_singles(rope: Rope, position: int, head: Singles) -> Singles:
    cosine, sine = (part.astype(np.float32) for part in angles(rope, position))
    first, second = (part.astype(np.float32) for part in rope.pairs(head))
    pair = (first * cosine - second * sine, first * sine + second * cosine)
    if rope.style is RopeStyle.NEOX:
        return np.concatenate(pair)
    return np.stack(pair, axis=-1).reshape(-1)


def text() -> str:
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
