"""Several portals as one store: failing over, copies, and what is told when it is not enough."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from platformless.retrying import Backoff, rest_asked
from platformless.storage.cids import BlobId
from platformless.storage.errors import (
    BadSettings,
    BlobNotAtPortal,
    BlobUnavailable,
    Disposition,
    LocalFileFailed,
    NotReplicated,
    PortalFull,
    PortalUnreachable,
    WrongContent,
)
from platformless.storage.portals import Portals

from .faulty_portal import (
    IMPATIENT,
    PATIENT,
    QUICK,
    Fault,
    FaultyPortal,
    breaks_off,
    client,
    only,
    says,
    silence,
    stalls,
    times,
)

DOWN = "http://127.0.0.1:9"
DATA = random.Random(3).randbytes(200_000)
BLOB = BlobId.of(DATA)
FALSE = bytes(len(DATA))


@pytest.fixture
async def one() -> AsyncIterator[FaultyPortal]:
    async with FaultyPortal() as portal:
        yield portal


@pytest.fixture
async def two() -> AsyncIterator[FaultyPortal]:
    async with FaultyPortal() as portal:
        yield portal


def portals(*urls: str, **changes: object) -> Portals:
    return Portals([client(url) for url in urls], replace(QUICK, **changes))  # type: ignore[arg-type]


BAD: dict[str, Fault] = {
    "absent": says(status=404),
    "broken": says(status=500),
    "busy": says(status=429, retry_after="1"),
    "forbidding": says(status=403),
    "lying": says(FALSE),
    "cut off": breaks_off(DATA[:9], len(DATA)),
    "cut off late": breaks_off(DATA[:-9], len(DATA)),
    "silent": silence,
    "silent late": stalls(DATA[:-9], len(DATA)),
    "too long": says(DATA + b"."),
    "looping": says(status=307, location="?"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_one_bad_portal_of_two_does_not_matter(
    one: FaultyPortal, two: FaultyPortal, tmp_path: Path, kind: str
) -> None:
    one.fault = BAD[kind]
    two.keep(DATA)
    wire = IMPATIENT if kind.startswith("silent") else PATIENT
    async with Portals([client(one.url, wire=wire), client(two.url)], QUICK) as store:
        await store.fetch(BLOB, tmp_path / "blob")
        assert b"".join([piece async for piece in store.stream(BLOB)]) == DATA
    assert (tmp_path / "blob").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


async def test_a_portal_that_failed_is_not_asked_first_again(
    one: FaultyPortal, two: FaultyPortal
) -> None:
    one.fault = says(status=500)
    two.keep(DATA)
    async with portals(one.url, two.url, backoff=Backoff(60, 60)) as store:
        for _ in range(5):
            await store.check(BLOB)
    assert one.asked.total() == 1
    assert two.asked.total() == 5


async def test_a_portal_that_recovers_is_used(one: FaultyPortal) -> None:
    one.keep(DATA)
    one.fault = times(5, says(status=503))
    async with portals(one.url, patience_seconds=30) as store:
        assert await store.get(BLOB, largest_bytes=BLOB.size) == DATA
    assert one.asked.total() == 6


async def test_a_portal_without_the_blob_is_asked_once_and_stays_in_health(
    one: FaultyPortal, two: FaultyPortal
) -> None:
    two.fault = says(status=500)
    async with portals(one.url, two.url, patience_seconds=3) as store:
        with pytest.raises(BlobUnavailable):
            await store.check(BLOB)
        assert one.asked.total() == 1
        assert two.asked.total() > 1
        one.keep(DATA)
        await store.check(BLOB)


async def test_a_blob_that_nobody_gives_is_told_with_every_portals_errors(
    one: FaultyPortal, two: FaultyPortal, tmp_path: Path
) -> None:
    one.fault = says(FALSE)
    async with portals(one.url, two.url, DOWN) as store:
        with pytest.raises(BlobUnavailable) as error:
            await store.fetch(BLOB, tmp_path / "blob")
    kinds = {url: type(fault) for url, fault in error.value.faults}
    assert kinds == {one.url: WrongContent, two.url: BlobNotAtPortal, DOWN: PortalUnreachable}
    for text in (one.url, two.url, DOWN, "STO-201", "STO-209", "STO-215"):
        assert text in str(error.value)
    assert error.value.disposition is Disposition.RETRY_HERE
    assert list(tmp_path.iterdir()) == []


async def test_portals_that_rest_too_long_are_told_with_why(one: FaultyPortal) -> None:
    one.fault = says(status=429, retry_after="60")
    async with portals(one.url) as store:
        for _ in range(2):
            with pytest.raises(BlobUnavailable, match="STO-203"):
                await store.check(BLOB)
    assert one.asked.total() == 1


async def test_an_awake_portal_is_asked_however_long_the_others_took(
    one: FaultyPortal, two: FaultyPortal
) -> None:
    one.fault = silence
    two.keep(DATA)
    clients = [client(one.url, wire=IMPATIENT), client(two.url)]
    async with Portals(clients, replace(QUICK, patience_seconds=0.0)) as store:
        await store.check(BLOB)


async def test_a_local_failure_is_not_tried_elsewhere(
    one: FaultyPortal, two: FaultyPortal, tmp_path: Path
) -> None:
    async with portals(one.url, two.url) as store:
        with pytest.raises(LocalFileFailed):
            await store.fetch(BLOB, tmp_path / "no" / "blob")
        with pytest.raises(LocalFileFailed):
            await store.put(tmp_path / "none")
    assert one.asked.total() == two.asked.total() == 0


async def test_copies_go_to_so_many_portals(one: FaultyPortal, two: FaultyPortal) -> None:
    async with FaultyPortal() as three, portals(one.url, two.url, three.url, copies=2) as store:
        assert await store.put(DATA) == BLOB
        assert [BLOB.hash in portal.blobs for portal in (one, two, three)] == [True, True, False]


async def test_copies_are_uploaded_at_once(one: FaultyPortal, two: FaultyPortal) -> None:
    met = asyncio.Barrier(2)

    async def meet(_request: web.Request) -> web.StreamResponse | None:
        await met.wait()
        return None

    one.fault = two.fault = only("POST", times(1, meet))
    async with portals(one.url, two.url, copies=2) as store:
        await store.put(DATA)


@pytest.mark.parametrize("status", [401, 413, 429, 500, 507])
async def test_an_upload_fails_over_to_the_rest(
    one: FaultyPortal, two: FaultyPortal, status: int
) -> None:
    one.fault = says(status=status)
    async with FaultyPortal() as three, portals(one.url, two.url, three.url, copies=2) as store:
        done = await store.replicate(DATA)
    assert set(done.stored) == {two.url, three.url}
    assert {url for url, _ in done.faults} == {one.url}


async def test_partial_success_is_told_exactly(one: FaultyPortal, two: FaultyPortal) -> None:
    two.fault = says(status=507)
    async with portals(one.url, two.url, copies=2) as store:
        with pytest.raises(NotReplicated) as error:
            await store.put(DATA)
    assert error.value.stored == (one.url,)
    assert [(url, type(fault)) for url, fault in error.value.faults] == [(two.url, PortalFull)]
    assert BLOB.hash in one.blobs


async def test_no_success_is_told_exactly(one: FaultyPortal) -> None:
    one.fault = says(status=507)
    async with portals(one.url, DOWN, copies=2) as store:
        with pytest.raises(NotReplicated) as error:
            await store.put(b"small")
    assert error.value.stored == ()
    assert "STO-207" in str(error.value)
    assert "STO-201" in str(error.value)


async def test_a_copy_that_does_not_read_back_is_none(one: FaultyPortal, two: FaultyPortal) -> None:
    one.fault = only("GET", says(FALSE))
    async with portals(one.url, two.url, read_back=True) as store:
        done = await store.replicate(DATA)
    assert done.stored == (two.url,)
    assert [type(fault) for _, fault in done.faults] == [WrongContent]


async def test_without_reading_back_a_portal_is_believed(one: FaultyPortal) -> None:
    one.fault = only("GET", says(FALSE))
    async with portals(one.url) as store:
        await store.put(DATA)
    assert one.asked["GET /s5/blob"] == 0


async def test_a_blob_is_pinned_where_it_is(one: FaultyPortal, two: FaultyPortal) -> None:
    one.fault = says(status=404)
    async with portals(one.url, two.url) as store:
        await store.pin(BLOB)
    assert two.pinned == {BLOB.hash}
    async with portals(one.url, two.url, copies=2) as store:
        with pytest.raises(NotReplicated):
            await store.pin(BLOB)


async def test_absence_is_told_only_when_every_portal_says_so(
    one: FaultyPortal, two: FaultyPortal
) -> None:
    async with portals(one.url, two.url) as store:
        assert not await store.has(BLOB)
        two.keep(DATA)
        assert await store.has(BLOB)
        one.fault = says(status=500)
        assert await store.has(BLOB)
        del two.blobs[BLOB.hash]
        with pytest.raises(BlobUnavailable):
            await store.has(BLOB)


@pytest.mark.parametrize("copies", [0, 3])
def test_copies_that_cannot_be_are_refused_at_once(copies: int) -> None:
    with pytest.raises(BadSettings):
        portals("http://a", "http://b", copies=copies)


def test_a_portal_named_twice_is_refused_at_once() -> None:
    with pytest.raises(BadSettings):
        portals("http://a", "http://a/")


def test_rests_double_up_to_a_limit_and_differ_by_chance() -> None:
    backoff = Backoff(1.0, 10.0)
    longest = [backoff.rest_seconds(n, chance=lambda: 1.0) for n in (1, 2, 3, 4, 5, 5000)]
    assert longest == [1, 2, 4, 8, 10, 10]
    assert backoff.rest_seconds(2, chance=lambda: 0.0) == 1.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("100000", 60.0),
        ("inf", 60.0),
        ("nan", None),
        ("-5", 0.0),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_within_reason(value: str, expected: float | None) -> None:
    assert rest_asked({"retry-after": value}) == expected
    assert rest_asked({}) is None
