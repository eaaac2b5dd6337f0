"""What is on disk: whole, or not at all, whatever happens to the writer."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from platformless.storage.cids import BlobHash, BlobId
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.errors import (
    BlobNotFound,
    DiskFailed,
    DiskFull,
    QuotaExceeded,
    UploadNotFound,
)
from platformless.storage.portal.settings import PortalSettings

from .portal_process import PortalProcess, send_part, wait_until
from .test_portal_http import BLOB, HELLO, code

MEBIBYTE = 1 << 20

WRITER = """
import sys
from pathlib import Path
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.settings import PortalSettings
contents = Contents(PortalSettings(Path(sys.argv[1])))
for number in range(40):
    contents.blobs.add(bytes([number]) * 50_000)
"""

LIMITED_WRITER = """
import resource, sys
from pathlib import Path
from platformless.storage.portal.errors import DiskFull
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.settings import PortalSettings
contents = Contents(PortalSettings(Path(sys.argv[1])))
contents.blobs.add(bytes(1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    contents.blobs.add(bytes(200_000))
except DiskFull as error:
    print(error)
"""

STREAMER = """
import resource, sys
from pathlib import Path
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.settings import PortalSettings
contents = Contents(PortalSettings(Path(sys.argv[1])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with contents.blobs.receive() as incoming:
    for number in range(200):
        incoming.write(bytes([number]) * (1 << 20))
    incoming.keep()
assert contents.check().is_sound
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return Contents(PortalSettings(tmp_path))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB. Needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def run(script: str, folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def scratch_of(folder: Path) -> list[Path]:
    return list((folder / "scratch").iterdir())


def test_a_blob_lies_under_its_hash(contents: Contents, tmp_path: Path) -> None:
    assert contents.blobs.add(HELLO) == BLOB
    digits = BLOB.hash.value.hex()
    assert (tmp_path / "blobs" / digits[:2] / digits[2:]).read_bytes() == HELLO
    file, size = contents.blobs.open(BLOB.hash)
    with file:
        assert (file.read(), size) == (HELLO, 13)


def test_a_blob_that_is_not_here_is_told(contents: Contents) -> None:
    assert contents.blobs.size(BLOB.hash) is None
    with pytest.raises(BlobNotFound):
        contents.blobs.open(BLOB.hash)
    with pytest.raises(BlobNotFound):
        contents.blobs.delete(BLOB.hash)


def test_a_blob_not_kept_leaves_nothing(contents: Contents, tmp_path: Path) -> None:
    with contents.blobs.receive() as incoming:
        incoming.write(HELLO)
        assert len(scratch_of(tmp_path)) == 1
        assert contents.blobs.space.used_bytes == 13
    assert scratch_of(tmp_path) == []
    assert contents.blobs.space.used_bytes == 0
    assert contents.blobs.size(BLOB.hash) is None


def test_a_living_writer_is_left_alone_by_who_sweeps(contents: Contents, tmp_path: Path) -> None:
    with contents.blobs.receive() as incoming:
        incoming.write(HELLO)
        (tmp_path / "scratch" / "left").write_bytes(b"of a dead writer")
        assert Contents(PortalSettings(tmp_path)).swept == 1
        assert incoming.keep() == BLOB
    assert contents.blobs.size(BLOB.hash) == 13


async def test_a_kill_in_the_middle_of_an_upload_leaves_nothing(tmp_path: Path) -> None:
    with PortalProcess(tmp_path) as first:
        head = f"POST /s5/upload HTTP/1.1\nHost: x\nContent-Length: {9 * MEBIBYTE}"
        with await asyncio.to_thread(send_part, first.url, head, bytes(4 * MEBIBYTE)):
            await asyncio.to_thread(
                wait_until,
                lambda: any(path.stat().st_size >= MEBIBYTE for path in scratch_of(tmp_path)),
            )
            first.kill()
    assert len(scratch_of(tmp_path)) == 1
    with PortalProcess(tmp_path) as second:
        assert scratch_of(tmp_path) == []
        async with httpx.AsyncClient(base_url=second.url) as http:
            assert (await http.get("/health")).json()["usedBytes"] == 0
            assert (await http.post("/s5/upload", content=HELLO)).status_code == 200
    assert Contents(PortalSettings(tmp_path)).check().is_sound


def test_threads_that_bring_the_same_blob_at_once_add_it_once(contents: Contents) -> None:
    barrier = threading.Barrier(4)

    def bring() -> None:
        for number in range(30):
            barrier.wait()
            contents.blobs.add(bytes([number]) * 10)

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents.blobs.space.used_bytes == 300


def test_two_processes_write_the_same_blobs_at_once(contents: Contents, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    report = contents.check()
    assert (report.blobs, report.checked_bytes) == (40, 40 * 50_000)
    assert report.is_sound
    assert scratch_of(tmp_path) == []


def test_a_limit_on_files_is_a_full_disk_and_leaves_nothing(tmp_path: Path) -> None:
    assert "STO-331" in run(LIMITED_WRITER, tmp_path)
    assert scratch_of(tmp_path) == []
    contents = Contents(PortalSettings(tmp_path))
    assert contents.check().blobs == 1
    assert contents.swept == 0


def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    contents = Contents(PortalSettings(small_disk))
    contents.blobs.add(HELLO)
    with pytest.raises(DiskFull):
        contents.blobs.add(os.urandom(4 * MEBIBYTE))
    assert scratch_of(small_disk) == []
    assert contents.blobs.space.used_bytes == 13
    contents.blobs.add(os.urandom(MEBIBYTE))
    assert contents.check().blobs == 2


async def test_a_full_disk_keeps_an_upload_as_far_as_it_came(small_disk: Path) -> None:
    data = os.urandom(4 * MEBIBYTE)
    contents = Contents(PortalSettings(small_disk))
    name = contents.uploads.create(BlobHash.of(data), len(data))
    with contents.uploads.writing(name) as upload:
        assert upload is not None
        with pytest.raises(DiskFull):
            upload.write(data)
        written = upload.offset
        assert 0 < written < len(data)
    assert (small_disk / "uploads" / f"{name}.part").read_bytes() == data[:written]


async def test_a_full_disk_is_told_over_http(small_disk: Path) -> None:
    with PortalProcess(small_disk) as portal:
        async with httpx.AsyncClient(base_url=portal.url) as http:
            reply = await http.post("/s5/upload", content=os.urandom(4 * MEBIBYTE))
            assert (reply.status_code, code(reply)) == (507, "STO-331")
            assert (await http.post("/s5/upload", content=HELLO)).status_code == 200


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskFailed):
        Contents(PortalSettings(tmp_path / "file"))


def test_the_quota_is_counted_anew_from_the_disk_before_a_refusal(tmp_path: Path) -> None:
    contents = Contents(PortalSettings(tmp_path, quota_bytes=20))
    other = Contents(PortalSettings(tmp_path, quota_bytes=20))
    contents.blobs.add(HELLO)
    assert other.blobs.space.used_bytes == 0
    with pytest.raises(QuotaExceeded):
        contents.blobs.add(b"8 bytes.")
    other.blobs.delete(BLOB.hash)
    contents.blobs.add(b"8 bytes.")
    assert contents.blobs.space.used_bytes == 8


def test_what_is_kept_counts_after_a_restart(tmp_path: Path) -> None:
    contents = Contents(PortalSettings(tmp_path))
    contents.blobs.add(HELLO)
    contents.uploads.create(BlobHash.zero(), 1000)
    assert contents.blobs.space.used_bytes == 1013
    assert Contents(PortalSettings(tmp_path)).blobs.space.used_bytes == 1013


@pytest.mark.parametrize("damaged", [b"", b"{", b"\xff", b'{"length":5,"digest":"00"}'])
def test_a_damaged_upload_keeps_no_portal_from_starting(tmp_path: Path, damaged: bytes) -> None:
    name = Contents(PortalSettings(tmp_path)).uploads.create(BlobHash.zero(), 1000)
    files = [tmp_path / "uploads" / f"{name}.{kind}" for kind in ("json", "part")]
    files[0].write_bytes(damaged)
    contents = Contents(PortalSettings(tmp_path))
    assert contents.blobs.space.used_bytes == 0
    with pytest.raises(UploadNotFound):
        contents.uploads.announced(name)
    os.utime(files[1], (0, 0))
    assert contents.sweep() == 1
    assert not any(file.exists() for file in files)


def test_a_check_finds_a_flipped_byte_and_a_new_upload_heals_it(
    contents: Contents, tmp_path: Path
) -> None:
    good = contents.blobs.add(b"good")
    contents.blobs.add(HELLO)
    contents.paths.set("home/hello", BLOB)
    assert contents.check().is_sound
    flip_a_byte(contents.blobs.path(BLOB.hash))
    report = contents.check()
    assert [damaged.name for damaged in report.damaged] == [BLOB.hash.value.hex()]
    assert report.damaged[0].found != BLOB.hash
    assert (report.blobs, report.dangling) == (1, ("home/hello",))
    assert contents.blobs.size(BLOB.hash) is None
    assert contents.blobs.size(good.hash) == 4
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    assert contents.blobs.space.used_bytes == 4
    contents.blobs.add(HELLO)
    assert contents.check().dangling == ()


def test_a_blob_that_comes_again_heals_a_damaged_one(contents: Contents) -> None:
    contents.blobs.add(HELLO)
    flip_a_byte(contents.blobs.path(BLOB.hash))
    contents.blobs.add(HELLO)
    assert contents.check().is_sound


@pytest.mark.parametrize("change", ["cut", "empty", "stray"])
def test_a_check_puts_aside_what_is_not_a_whole_blob(
    contents: Contents, tmp_path: Path, change: str
) -> None:
    blob = BlobId.of(bytes(100))
    contents.blobs.add(bytes(100))
    path = contents.blobs.path(blob.hash)
    if change == "stray":
        (path.parent / "notes.txt").write_text("not a blob")
    else:
        os.truncate(path, 50 if change == "cut" else 0)
    report = contents.check()
    assert len(report.damaged) == 1
    assert report.blobs == (1 if change == "stray" else 0)
    assert contents.check().is_sound
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_a_check_leaves_folders_of_others_alone(contents: Contents, tmp_path: Path) -> None:
    foreign = tmp_path / "blobs" / "uploads" / "notes.txt"
    foreign.parent.mkdir()
    foreign.write_text("not ours")
    assert contents.check().is_sound
    assert foreign.read_text() == "not ours"
    assert contents.blobs.stored_bytes() == 0


def test_memory_stays_flat(tmp_path: Path) -> None:
    kibibytes = int(run(STREAMER, tmp_path))
    assert kibibytes < 32 * 1024
