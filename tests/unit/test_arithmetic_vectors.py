"""The shared cells are what the arithmetic gives today, and integers alone give the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from platformless.protocol.arithmetic import scalar
from platformless.protocol.arithmetic.attention import cached
from platformless.protocol.arithmetic.operations import Reference
from tests.vectors.make_arithmetic import FILE, text


@pytest.fixture(scope="module")
def vectors() -> Any:
    return json.loads(FILE.read_text())


def test_the_file_is_what_the_arithmetic_gives() -> None:
    assert FILE.read_text() == text()


def test_integers_fuse_and_round_as_in_the_file(vectors: Any) -> None:
    for line in vectors["fuse"]:
        a, b, c, found = (int(digits, 16) for digits in line)
        assert scalar.fuse(scalar.take_apart(a), scalar.take_apart(b), c) == found
    for single, half in vectors["to_half"]:
        value = scalar.take_apart(int(single, 16))
        assert scalar.pack_half(value, negative_zero=single[0] >= "8") == int(half, 16)


def test_integers_add_lanes_as_in_the_file(vectors: Any) -> None:
    for case in vectors["tree_sum"]:
        lanes = np.frombuffer(bytes.fromhex(case["lanes"]), "<u4")
        assert scalar.tree_sum([int(lane) for lane in lanes]) == int(case["sum"], 16)


def test_integers_multiply_halves_as_in_the_file(vectors: Any) -> None:
    for case in vectors["key_product"]:
        sides = (np.frombuffer(bytes.fromhex(case[name]), "<f4") for name in ("query", "key"))
        query, key = ([int(h) for h in cached(one).view(np.uint16)] for one in sides)
        lanes = Reference.named(case["reference"]).lanes
        assert scalar.half_product(query, key, lanes) == int(case["score"], 16)


def test_a_rotation_that_is_off_is_not_accepted(vectors: Any) -> None:
    assert [case["accepted"] for case in vectors["rope"]] == [True, False] * 8
