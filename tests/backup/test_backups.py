"""Backups of a ledger that is written meanwhile: whole, checked, and never put over anything."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from platformless.node.backup.archive import verify
from platformless.node.backup.errors import (
    BackupDamaged,
    BackupNotWritten,
    BackupTooNew,
    FolderInUse,
    LedgerKeyNeeded,
    NothingToBackUp,
    PassphraseNeeded,
)
from platformless.node.backup.making import BackupRequest, make_backup, named
from platformless.node.backup.manifest import Manifest, is_safe
from platformless.node.backup.restoring import RestoreRequest, restore
from platformless.node.backup.rounds import keep_backing_up, tidy
from platformless.node.reading_settings import load_settings
from platformless.node.settings import NodeSettings
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.values import Binding

KEY = b"\x31" * 32
HOST_KEY = "0x" + "07" * 32
CHAIN = f"31337:0x{'00' * 32}:0x{'01' * 20}"
PASSPHRASE = "a passphrase of the test"  # noqa: S105
WITH_KEY = BackupRequest(with_key=True, passphrase=PASSPHRASE)


def settings_of(folder: Path, **more: str) -> NodeSettings:
    variables = {"HOST_PRIVATE_KEY": HOST_KEY, "DATA_FOLDER": str(folder), **more}
    return load_settings(variables, None)[0]


async def ledger_in(folder: Path, url: str = "") -> Ledger:
    folder.mkdir(exist_ok=True)
    key = folder / "ledger.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(KEY.hex() + "\n")
    return await Ledger.open(LedgerSettings(url or f"sqlite:///{folder}/ledger.db", KEY, CHAIN))


@pytest.fixture
async def node(tmp_path: Path) -> NodeSettings:
    """A node's folder with all that is backed up, and things that are not."""
    folder = tmp_path / "data"
    async with await ledger_in(folder) as ledger:
        for session_id in range(5):
            await ledger.bind(session_id, Binding(f"client {session_id}", None))
    with closing(sqlite3.connect(folder / "outbox.db")) as outbox:
        outbox.execute("CREATE TABLE transactions (nonce INTEGER)")
        outbox.execute("INSERT INTO transactions VALUES (41)")
        outbox.commit()
    session = folder / "publication" / ("0x" + "12" * 20) / "7"
    session.mkdir(parents=True)
    for name in ("bundle_0", "delta_0.json", "content_0", "sent_0", "index.json", "lock"):
        (session / name).write_bytes(name.encode())
    (session / ".bundle_1.part").write_bytes(b"half")
    blobs = folder / "portal" / "blobs" / "ed"
    blobs.mkdir(parents=True)
    (blobs / "e5c0").write_bytes(b"a blob")
    return settings_of(folder)


async def test_a_backup_holds_what_a_node_keeps_and_comes_back(
    node: NodeSettings, tmp_path: Path
) -> None:
    report = make_backup(node, tmp_path / "backup.tar", WITH_KEY)
    assert stat.S_IMODE(report.path.stat().st_mode) == 0o600
    names = {member.name for member in report.manifest.members}
    session = f"publication/0x{'12' * 20}/7"
    files = ("bundle_0", "delta_0.json", "content_0", "sent_0", "index.json")
    kept = {f"{session}/{name}" for name in files}
    assert names == {"ledger.db", "outbox.db", "ledger.key.sealed", *kept}
    assert report.manifest.chains == ()
    into = tmp_path / "restored"
    restore(report.path, RestoreRequest(into, passphrase=PASSPHRASE))
    assert (into / "ledger.key").read_text().strip() == KEY.hex()
    assert stat.S_IMODE((into / "ledger.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(into.stat().st_mode) == 0o700
    assert (into / session / "sent_0").read_bytes() == b"sent_0"
    with closing(sqlite3.connect(into / "outbox.db")) as outbox:
        assert outbox.execute("SELECT nonce FROM transactions").fetchall() == [(41,)]
    async with await ledger_in(into) as ledger:
        for session_id in range(5):
            assert await ledger.binding(session_id) == Binding(f"client {session_id}", None)


async def test_blobs_are_in_a_backup_when_they_are_wanted(
    node: NodeSettings, tmp_path: Path
) -> None:
    request = BackupRequest(with_blobs=True)
    report = make_backup(node, tmp_path / "backup.tar", request)
    into = tmp_path / "restored"
    restore(report.path, RestoreRequest(into, key=KEY))
    assert (into / "portal" / "blobs" / "ed" / "e5c0").read_bytes() == b"a blob"


async def test_a_backup_without_the_key_tells_nothing_of_it(
    node: NodeSettings, tmp_path: Path
) -> None:
    bare = make_backup(node, tmp_path / "bare.tar", BackupRequest())
    sealed = make_backup(node, tmp_path / "sealed.tar", WITH_KEY)
    for path in (bare.path, sealed.path):
        data = path.read_bytes()
        assert KEY not in data
        assert KEY.hex().encode() not in data
        assert PASSPHRASE.encode() not in data
        assert bytes.fromhex(HOST_KEY[2:]) not in data
    into = tmp_path / "restored"
    with pytest.raises(LedgerKeyNeeded):
        restore(bare.path, RestoreRequest(into))
    with pytest.raises(LedgerKeyNeeded, match="another ledger's"):
        restore(bare.path, RestoreRequest(into, key=b"\x32" * 32))
    with pytest.raises(PassphraseNeeded):
        restore(sealed.path, RestoreRequest(into))
    with pytest.raises(PassphraseNeeded):
        restore(sealed.path, RestoreRequest(into, passphrase="another"))  # noqa: S106
    assert not into.exists()


async def test_a_key_is_not_sealed_by_nothing(node: NodeSettings, tmp_path: Path) -> None:
    with pytest.raises(PassphraseNeeded):
        make_backup(node, tmp_path / "backup.tar", BackupRequest(with_key=True))
    assert not (tmp_path / "backup.tar").exists()


async def test_a_backup_while_sessions_are_written_is_of_one_moment(
    node: NodeSettings, tmp_path: Path
) -> None:
    written: list[int] = []
    stopping = asyncio.Event()

    async def write(ledger: Ledger) -> None:
        session_id = 100
        while not stopping.is_set():
            await ledger.bind(session_id, Binding(f"client {session_id}", None))
            written.append(session_id)
            session_id += 1

    reports, least = [], []
    async with await ledger_in(node.data_folder) as ledger, asyncio.TaskGroup() as group:
        group.create_task(write(ledger))
        for number in range(5):
            before = len(written)
            async with asyncio.timeout(60):
                while len(written) < before + 10:
                    await asyncio.sleep(0.005)
            least.append(len(written))
            path = tmp_path / f"{number}.tar"
            reports.append(await asyncio.to_thread(make_backup, node, path, BackupRequest()))
        stopping.set()
    for number, report in enumerate(reports):
        into = tmp_path / f"restored-{number}"
        restore(report.path, RestoreRequest(into, key=KEY))
        async with await ledger_in(into) as ledger:
            found = [one for one in written if await ledger.binding(one) is not None]
        assert found == written[: len(found)], "no hole"
        assert len(found) >= least[number], "all that was committed before"


@pytest.mark.parametrize("member", ["ledger.db", "outbox.db", "publication", "manifest.json"])
async def test_one_changed_bit_is_found(node: NodeSettings, tmp_path: Path, member: str) -> None:
    report = make_backup(node, tmp_path / "backup.tar", BackupRequest())
    with tarfile.open(report.path) as tar:
        entry = next(one for one in tar.getmembers() if one.name.startswith(member))
    data = bytearray(report.path.read_bytes())
    data[entry.offset_data + entry.size // 2] ^= 1
    report.path.write_bytes(data)
    with pytest.raises(BackupDamaged):
        verify(report.path)
    with pytest.raises(BackupDamaged):
        restore(report.path, RestoreRequest(tmp_path / "restored", key=KEY))
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
async def test_a_part_of_a_backup_is_none(node: NodeSettings, tmp_path: Path, part: float) -> None:
    report = make_backup(node, tmp_path / "backup.tar", BackupRequest())
    data = report.path.read_bytes().rstrip(b"\0")
    report.path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(BackupDamaged):
        verify(report.path)


def empty(folder: Path) -> None:
    folder.mkdir()


def with_a_file(folder: Path) -> None:
    folder.mkdir()
    (folder / "ledger.db").write_bytes(b"another node's")


@pytest.mark.parametrize("there", [with_a_file, lambda path: path.write_text("a file")])
async def test_nothing_is_overwritten(
    node: NodeSettings, tmp_path: Path, there: Callable[[Path], object]
) -> None:
    report = make_backup(node, tmp_path / "backup.tar", BackupRequest())
    into = tmp_path / "restored"
    there(into)
    with pytest.raises(FolderInUse):
        restore(report.path, RestoreRequest(into, key=KEY))
    with pytest.raises(FolderInUse):
        restore(report.path, RestoreRequest(node.data_folder, key=KEY))
    with pytest.raises(BackupNotWritten):
        make_backup(node, report.path, BackupRequest())


async def test_an_empty_folder_is_filled(node: NodeSettings, tmp_path: Path) -> None:
    report = make_backup(node, tmp_path / "backup.tar", BackupRequest())
    into = tmp_path / "restored"
    into.mkdir()
    restore(report.path, RestoreRequest(into, key=KEY))
    assert (into / "ledger.db").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_without_a_ledger_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(NothingToBackUp):
        make_backup(settings_of(tmp_path), tmp_path / "backup.tar", BackupRequest())
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_of_a_newer_version_is_refused(node: NodeSettings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(node.data_folder / "ledger.db")) as ledger:
        ledger.execute("UPDATE ledger_version SET version_num = '9999'")
        ledger.commit()
    with pytest.raises(Exception, match="LED-007"):
        make_backup(node, tmp_path / "backup.tar", BackupRequest())
    document = json.loads(Manifest("platformless-backup/2", "", "", (), "", "", ()).encode())
    with pytest.raises(BackupTooNew):
        Manifest.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "name", ["../ledger.db", "/etc/passwd", "a/../b", "a//b", ".ssh", "a/.b", "", "manifest.json"]
)
def test_a_name_that_leads_out_of_the_folder_is_no_members(name: str) -> None:
    assert not is_safe(name)


async def test_the_newest_generations_stay(node: NodeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "something else").touch()
    stopping, made = asyncio.Event(), []

    def told(report: object) -> None:
        made.append(report)
        if len(made) == 5:
            stopping.set()

    async with asyncio.timeout(60):
        await keep_backing_up(
            node,
            folder,
            BackupRequest(),
            every_seconds=0.01,
            generations=2,
            stopping=stopping,
            told=told,
        )
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 3
    assert "something else" in names
    newest = folder / names[1]
    assert verify(newest) == made[-1].manifest  # type: ignore[attr-defined]


def test_what_a_killed_backup_left_goes_a_day_later(tmp_path: Path) -> None:
    node = settings_of(tmp_path)
    name = named(node, datetime.now(UTC))
    old, new = tmp_path / f".{name}.old", tmp_path / f".{name}.new"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    tidy(node, tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == [new.name]


async def test_a_server_is_dumped_and_restored_as_it_was(
    postgresql_url: str, postgresql: object, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    async with await ledger_in(folder, postgresql_url) as ledger:
        await ledger.bind(7, Binding("client", None))
    node = settings_of(folder, LEDGER_URL=postgresql_url)
    report = make_backup(node, tmp_path / "backup.tar", BackupRequest())
    assert [member.name for member in report.manifest.members] == ["ledger.pgdump"]
    into = tmp_path / "restored"
    with pytest.raises(Exception, match="not empty"):
        restore(report.path, RestoreRequest(into, key=KEY, ledger_url=postgresql_url))
    assert not into.exists()
    with postgresql.database() as other:  # type: ignore[attr-defined]
        restore(report.path, RestoreRequest(into, key=KEY, ledger_url=other))
        async with await ledger_in(into, other) as ledger:
            assert await ledger.binding(7) == Binding("client", None)
    assert [path.name for path in into.iterdir()] == ["ledger.key"]
