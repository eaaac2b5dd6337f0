"""A whole node on one machine, as a process: where it is, what survives, what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from .standins import LIMIT_SECONDS, is_gone

ROOT = Path(__file__).parents[2]
KEY = "0x" + "07" * 32


class Machine:
    """A running node; `report` is what it printed once all was ready."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.report = _object(process)

    @property
    def process_ids(self) -> dict[str, int]:
        found: dict[str, int] = self.report["process_ids"]
        return found

    def children(self) -> set[int]:
        """The services' processes at this moment."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(child) for child in path.read_text().split() if not is_gone(int(child))}

    def lines(self) -> list[str]:
        """What the services wrote."""
        return (self.folder / "lines").read_text().splitlines()


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    env_file = folder / ".env"
    known = {
        "HOST_PRIVATE_KEY": KEY,
        "API_HOST": "127.0.0.1",
        "API_PORT": "0",
        "DATA_FOLDER": str(folder / "data"),
        "LEDGER_KEY": "11" * 32,
    }
    env_file.touch(mode=0o600)
    env_file.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
    with (folder / "lines").open("w") as lines:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.supervisor.machine", str(env_file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=lines,
            text=True,
        ) as process:
            try:
                yield Machine(process, folder)
            finally:
                process.kill()


def test_a_whole_node_survives_kills_and_ends_when_asked(tmp_path: Path) -> None:
    with machine(tmp_path) as found:
        names = ["broker", "portal", "node", "settlement", "prover-1", "prover-2"]
        assert list(found.process_ids) == names
        assert found.children() == set(found.process_ids.values())
        _check_keys(found)
        _check_places(found)
        broker = redis.Redis.from_url(found.report["node"]["broker"])
        broker.set("job", "1")

        for process_id in found.process_ids.values():
            os.kill(process_id, signal.SIGKILL)
        old = set(found.process_ids.values())
        _until(lambda: len(found.children() - old) == len(names))
        _until(lambda: _is_well(found))
        _check_places(found)  # where they were
        assert broker.get("job") == b"1"
        broker.close()

        last = found.children()
        lines_before = len(found.lines())
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(LIMIT_SECONDS) == 0
        assert all(is_gone(process_id) for process_id in last)
        ended = [line.split()[0] for line in found.lines()[lines_before:] if "when asked" in line]
        assert ended == ["prover-2", "prover-1", "settlement", "node"]
    assert not (tmp_path / "data" / "broker" / "broker.sock").exists()


def test_killing_a_whole_node_leaves_nobody_and_it_starts_again(tmp_path: Path) -> None:
    with machine(tmp_path) as found:
        with redis.Redis.from_url(found.report["node"]["broker"]) as broker:
            broker.set("job", "1")
        # A second one on the same folder is refused, and does the first no harm.
        with machine(tmp_path) as second:
            assert second.report["error"]["code"] == "SUP-003"
            assert second.process.wait(LIMIT_SECONDS) == 3
        assert len(found.children()) == len(found.process_ids)
        found.process.kill()
        _until(lambda: all(is_gone(process_id) for process_id in found.process_ids.values()))
    with machine(tmp_path) as again:
        with redis.Redis.from_url(again.report["node"]["broker"]) as broker:
            assert broker.get("job") == b"1"
        again.process.terminate()
        assert again.process.wait(LIMIT_SECONDS) == 0


def _check_keys(found: Machine) -> None:
    """By what the kernel has of each process."""
    for name, process_id in found.process_ids.items():
        environment = Path(f"/proc/{process_id}/environ").read_bytes()
        command = Path(f"/proc/{process_id}/cmdline").read_bytes()
        assert KEY.encode() not in environment + command
        knows_file = str(found.folder / ".env").encode() in command
        assert knows_file == (name in ("node", "settlement"))
        assert (b"LEDGER_KEY" in environment) == name.startswith("prover")


def _check_places(found: Machine) -> None:
    node = found.report["node"]
    assert httpx.get(f"{node['url']}/health", trust_env=False).status_code == 200
    assert httpx.get(node["portals"], trust_env=False).status_code < 500
    with redis.Redis.from_url(node["broker"]) as broker:
        assert broker.ping()


def _is_well(found: Machine) -> bool:
    try:
        _check_places(found)
    except (httpx.HTTPError, redis.RedisError):
        return False
    return True


def _object(process: subprocess.Popen[str]) -> Any:
    """The first JSON object that it prints."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.rstrip() == "}":
            return json.loads(text)
    raise AssertionError(f"ended with {process.wait()}: {text}")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
