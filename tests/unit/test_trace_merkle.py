"""Trees of traces: their shape, and paths of runs."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.digests import tagged_sha256
from platformless.protocol.trace.errors import (
    OpeningRejected,
    TraceNotInOrder,
    TraceShapeInvalid,
)
from platformless.protocol.trace.merkle import Frontier, merkle_root, root_of_run, run_path


def digests(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


def rfc_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1: the left part is the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1
    while 2 * left < len(leaves):
        left *= 2
    return tagged_sha256("trace-node", rfc_root(leaves[:left]) + rfc_root(leaves[left:]))


@given(count=st.integers(1, 300), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_a_tree_has_the_same_root_in_whatever_parts_its_leaves_come(
    count: int, cuts: list[int]
) -> None:
    leaves, frontier = digests(count), Frontier()
    places = [0, *sorted(cut for cut in cuts if cut < count), count]
    for start, end in pairwise(places):
        frontier.extend(leaves[start:end])
    assert frontier.root() == rfc_root(leaves) == merkle_root(leaves)


@given(count=st.integers(1, 70), data=st.data())
def test_a_run_and_its_path_give_the_root_and_nothing_else_does(
    count: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, count - 1))
    size = data.draw(st.integers(1, count - first))
    leaves = digests(count)
    root, path = merkle_root(leaves), run_path(leaves, first, size)
    run = leaves[first : first + size]
    assert root_of_run(run, first, count, path) == root
    changed = data.draw(st.integers(0, size - 1))
    other = [*run[:changed], bytes(32), *run[changed + 1 :]]
    assert root_of_run(other, first, count, path) != root
    with pytest.raises(OpeningRejected):
        root_of_run(run, first, count, (*path, bytes(32)))
    if path:
        with pytest.raises(OpeningRejected):
            root_of_run(run, first, count, path[:-1])
        place = data.draw(st.integers(0, len(path) - 1))
        wrong = (*path[:place], bytes(32), *path[place + 1 :])
        assert root_of_run(run, first, count, wrong) != root


@given(count=st.integers(2, 70), data=st.data())
def test_a_leaf_does_not_stand_for_another_place(count: int, data: st.DataObject) -> None:
    first, other = data.draw(st.permutations(range(count)))[:2]
    leaves = digests(count)
    path = run_path(leaves, first, 1)
    try:
        found = root_of_run([leaves[first]], other, count, path)
    except OpeningRejected:
        return
    assert found != merkle_root(leaves)


def test_runs_outside_of_a_tree_and_trees_without_leaves_are_refused() -> None:
    with pytest.raises(TraceNotInOrder):
        merkle_root([])
    for first, count in ((-1, 1), (3, 1), (1, 3), (0, 0)):
        with pytest.raises(TraceShapeInvalid):
            run_path(digests(3), first, count)
    with pytest.raises(TraceShapeInvalid):
        root_of_run([], 0, 3, ())
