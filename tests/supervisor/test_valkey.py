"""The embedded broker: private, and back with its data whatever happened to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from platformless.children import Child
from platformless.prover.broker import valkey

from .standins import LIMIT_SECONDS, until


@contextmanager
def started(folder: Path, tidy: bool = True) -> Iterator[Child]:
    """A server; killed at the end, with its socket left behind unless `tidy`."""
    valkey.prepare(folder)
    child = Child(valkey.server_command(folder))
    try:
        yield child
    finally:
        child.kill()
        if tidy:
            valkey.tidy(folder)


async def answers(folder: Path) -> redis.Redis:
    """A client of a server that has just been started."""
    url = valkey.broker_url(folder)
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await valkey.is_up(url):
            await asyncio.sleep(0.01)
    return redis.Redis.from_url(url)


async def test_it_listens_on_a_private_socket_alone(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir(mode=0o755)
    with started(folder) as child:
        with await answers(folder) as client:
            assert client.config_get("port")["port"] == "0"
            assert client.config_get("save")["save"] == ""
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        table = Path(f"/proc/{child.process_id}/net/tcp").read_text()
        inodes = {line.split()[9] for line in table.splitlines()[1:]}
        opened = Path(f"/proc/{child.process_id}/fd").iterdir()
        links = {str(descriptor.readlink()) for descriptor in opened}
        assert not links & {f"socket:[{inode}]" for inode in inodes}


async def test_it_keeps_what_it_was_told_through_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "a % and ü"
    with started(folder, tidy=False) as child:
        with await answers(folder) as client:
            client.set("job", "1")
        os.kill(child.process_id, signal.SIGKILL)
        assert child.wait(LIMIT_SECONDS) == -signal.SIGKILL
        assert valkey.socket_path(folder).is_socket()  # stale
        assert not await valkey.is_up(valkey.broker_url(folder))
    (folder / "temp-rewriteaof-bg-1.aof").touch()
    with started(folder):
        with await answers(folder) as client:
            assert client.get("job") == b"1"
    assert not list(folder.glob("temp-*"))


async def test_it_starts_over_half_a_command(tmp_path: Path) -> None:
    with started(tmp_path):
        with await answers(tmp_path) as client:
            client.set("job", "1")
    (appended,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    with appended.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$3\r\nco")
    with started(tmp_path):
        with await answers(tmp_path) as client:
            assert client.get("job") == b"1"


async def test_it_ends_when_asked(tmp_path: Path) -> None:
    with started(tmp_path) as child:
        (await answers(tmp_path)).close()
        child.terminate()
        assert child.wait(LIMIT_SECONDS) == 0
        assert not valkey.socket_path(tmp_path).exists()


async def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "broker"
    elsewhere = valkey.socket_path(folder).parent
    assert elsewhere.parent == Path("/tmp")  # noqa: S108
    try:
        with started(folder, tidy=False):
            with await answers(folder) as client:
                client.set("job", "1")
            assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
            assert (folder / "appendonlydir").is_dir()
        with started(folder):
            with await answers(folder) as client:
                assert client.get("job") == b"1"
        assert not elsewhere.exists()
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


def test_a_folder_that_is_not_its_users_own_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    elsewhere = valkey.socket_path(folder).parent
    other = tmp_path / "other"
    other.mkdir()
    elsewhere.symlink_to(other)
    try:
        with pytest.raises(valkey.EmbeddedBrokerUnusable, match="BRK-002"):
            valkey.prepare(folder)
    finally:
        elsewhere.unlink()


async def test_two_of_them_know_nothing_of_each_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        clients = []
        for name in ("one", "two"):
            stack.enter_context(started(tmp_path / name))
            client = stack.enter_context(await answers(tmp_path / name))
            client.set("name", name)
            clients.append(client)
        assert [client.get("name") for client in clients] == [b"one", b"two"]


async def test_dramatiq_uses_it(tmp_path: Path) -> None:
    with started(tmp_path):
        (await answers(tmp_path)).close()
        broker = RedisBroker(url=valkey.broker_url(tmp_path))  # type: ignore[no-untyped-call]
        heard: list[int] = []

        @dramatiq.actor(broker=broker, queue_name="live")
        def hear(number: int) -> None:
            heard.append(number)

        worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=1)
        worker.start()
        try:
            hear.send(7)
            await until(lambda: heard == [7])
        finally:
            worker.stop()
            broker.close()
