"""The quota: counting a large folder keeps nobody waiting, and is not done for every request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from platformless.storage.portal.errors import QuotaExceeded
from platformless.storage.portal.space import Space

QUOTA = 100
LIMIT_SECONDS = 30


class Folder:
    """Holds so many bytes, as a count finds; one that is made slow takes until `go_on`."""

    def __init__(self) -> None:
        self.holds = 0
        self.counts = 0
        self.is_counting = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def count(self) -> int:
        self.counts += 1
        self.is_counting.set()
        assert self.go_on.wait(LIMIT_SECONDS)
        return self.holds

    def make_slow(self) -> None:
        self.is_counting.clear()
        self.go_on.clear()


@pytest.fixture
def folder() -> Folder:
    return Folder()


@pytest.fixture
def full(folder: Folder) -> Space:
    """A space that holds all it may, as far as it knows."""
    space = Space(QUOTA, folder.count)
    space.take(QUOTA)
    space.keep(QUOTA)
    folder.holds = QUOTA
    return space


@pytest.fixture
def pool(folder: Folder) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool
        folder.go_on.set()


def test_nobody_waits_while_the_folder_is_counted(
    folder: Folder, full: Space, pool: ThreadPoolExecutor
) -> None:
    folder.make_slow()
    first = pool.submit(full.take, 1)
    assert folder.is_counting.wait(LIMIT_SECONDS)
    assert pool.submit(lambda: full.used_bytes).result(LIMIT_SECONDS) == QUOTA
    with pytest.raises(QuotaExceeded):
        pool.submit(full.take, 1).result(LIMIT_SECONDS)
    folder.holds = QUOTA - 1
    folder.go_on.set()
    first.result(LIMIT_SECONDS)
    assert full.used_bytes == QUOTA


def test_what_is_kept_while_the_folder_is_counted_is_not_forgotten(
    folder: Folder, full: Space, pool: ThreadPoolExecutor
) -> None:
    full.drop(40)
    full.take(40)
    folder.holds = 60
    folder.make_slow()
    refused = pool.submit(full.take, 1)
    assert folder.is_counting.wait(LIMIT_SECONDS)
    full.keep(40)
    folder.go_on.set()
    with pytest.raises(QuotaExceeded):
        refused.result(LIMIT_SECONDS)
    assert full.used_bytes == QUOTA


def test_who_is_refused_again_and_again_does_not_have_the_folder_counted_each_time(
    folder: Folder, full: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("platformless.storage.portal.space.time.monotonic", lambda: now[0])
    for _ in range(50):
        with pytest.raises(QuotaExceeded):
            full.take(1)
    assert folder.counts == 3, "at the start, and twice"
    folder.holds = 0
    now[0] += 60
    full.take(1)
    assert full.used_bytes == 1


def test_a_count_that_fails_is_made_again(folder: Folder, full: Space) -> None:
    whole = folder.holds
    folder.holds = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        full.take(1)
    folder.holds = whole - 1
    full.take(1)
    assert full.used_bytes == QUOTA
