"""`fabstir-llm-node key …`: keystores in and out, and which account it is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platformless.chain.accounts import Account
from platformless.protocol.host_key import LocalKey

KEY = "0x" + "07" * 32
HOST = str(LocalKey(b"\x07" * 32).address)
PASSWORD = "a password of the test"  # noqa: S105


def run(
    *words: str, status: int = 0, given: str = "", environment: dict[str, str] | None = None
) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "platformless.node", "key", *words, "--json"],
        input=given,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert KEY[2:] not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(PASSWORD + "\n")
    return path


def test_a_key_becomes_a_keystore_that_wallets_and_the_node_open(
    tmp_path: Path, password: Path
) -> None:
    out = tmp_path / "keystore.json"
    words = ("import", "--out", str(out), "--password-file", str(password))
    told = run(*words, given=KEY + "\n")
    assert told["address"] == HOST
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert bytes(Account.decrypt(json.loads(out.read_text()), PASSWORD)) == b"\x07" * 32
    environment = {"HOST_KEYSTORE": str(out), "HOST_KEYSTORE_PASSWORD_FILE": str(password)}
    shown = run("address", "--env-file", os.devnull, environment=environment)
    assert shown["address"] == HOST
    assert run(*words, given=KEY, status=2)["error"]["code"] == "KEY-010"


def test_the_nodes_own_key_is_written_into_a_keystore(tmp_path: Path) -> None:
    out = tmp_path / "keystore.json"
    environment = {"HOST_PRIVATE_KEY": KEY, "HOST_KEYSTORE_PASSWORD": PASSWORD}
    words = ("export-keystore", "--out", str(out), "--env-file", os.devnull)
    assert run(*words, environment=environment)["keystore"] == str(out)
    assert bytes(Account.decrypt(json.loads(out.read_text()), PASSWORD)) == b"\x07" * 32


def test_what_is_no_key_makes_no_keystore(tmp_path: Path, password: Path) -> None:
    out = tmp_path / "keystore.json"
    words = ("import", "--out", str(out), "--password-file", str(password))
    assert run(*words, given="no key\n", status=2)["error"]["code"] == "KEY-002"
    assert not out.exists()


def test_no_key_is_written_without_a_password(tmp_path: Path) -> None:
    out = tmp_path / "keystore.json"
    assert run("import", "--out", str(out), given=KEY, status=2)["error"]["code"] == "CLI-001"
    assert not out.exists()
