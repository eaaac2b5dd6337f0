"""The scripts beside Dockerfile and units, run where they can run here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .files import DEPLOY, SCRIPTS, compose
from .programs import lint

KEY = "0x" + "11" * 32
HEALTHCHECK = DEPLOY / "docker" / "healthcheck.py"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert not lint("shellcheck", "make services", script)


def made(folder: Path, key: str = KEY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DEPLOY / "docker" / "make-secrets.sh", folder],
        input=key + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_of_composes_secrets_are_made_and_agree(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert made(folder).returncode == 0
    held = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(held) == set(compose()["secrets"])
    assert held["host_private_key"] == KEY
    assert len(bytes.fromhex(held["ledger_key"])) == 32
    assert held["ledger_url"] == (
        f"postgresql+psycopg://fabstir:{held['postgres_password']}@postgres:5432/fabstir"
    )
    assert held["broker_url"] == f"redis://:{held['redis_password']}@redis:6379/0"
    assert len(set(held.values())) == len(held)


def test_the_folder_is_its_owners_alone_and_what_is_shown_has_no_key(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    done = made(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert KEY not in done.stdout + done.stderr


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    made(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made(tmp_path, "0x" + "22" * 32).returncode == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("key", ["", "0x12", "g" * 64, KEY + "11"])
def test_what_is_no_key_is_refused_and_not_kept(tmp_path: Path, key: str) -> None:
    done = made(tmp_path, key)
    assert done.returncode == 2
    assert not (tmp_path / "host_private_key").exists()
    assert not key or key not in done.stderr


@contextmanager
def health(status: int, body: Any) -> Iterator[int]:
    """The port of a server that answers every request so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps(body).encode()
            self.send_response(status if self.path == "/health" else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def checked(environment: dict[str, str], *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", HEALTHCHECK, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("status", "exit_status"), [("healthy", 0), ("degraded", 0), ("unhealthy", 1)]
)
def test_a_container_is_well_while_its_node_serves(status: str, exit_status: int) -> None:
    with health(200, {"status": status, "issues": ["chain: away"]}) as port:
        environment = {"API_PORT": str(port), "API_HOST": "0.0.0.0"}  # noqa: S104
        environment |= {"http_proxy": "http://127.0.0.1:1"}
        assert checked(environment)[0] == exit_status


def test_a_node_that_fails_or_is_not_there_is_not_well() -> None:
    with health(500, {}) as port:
        assert checked({"API_PORT": str(port)})[0] == 1
    assert checked({"API_PORT": str(port)})[0] == 1


def test_a_worker_is_well_while_it_reaches_ledger_and_broker(tmp_path: Path) -> None:
    file = tmp_path / "ledger_url"
    with socket.create_server(("127.0.0.1", 0)) as ledger:
        port = ledger.getsockname()[1]
        file.write_text(f"postgresql+psycopg://user:secret@127.0.0.1:{port}/d\n")
        environment = {"LEDGER_URL_FILE": str(file), "BROKER_URL": "unix:///data/broker.sock"}
        assert checked(environment, "worker") == (0, "well\n")
    status, said = checked(environment, "worker")
    assert status == 1
    assert "LEDGER_URL: 127.0.0.1" in said
    assert "secret" not in said
