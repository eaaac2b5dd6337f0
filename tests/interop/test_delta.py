"""Deltas and indexes, read and written by an independent implementation in JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platformless.protocol import delta as deltas
from platformless.protocol import index as indexes
from platformless.protocol.delta import SealedDelta, SignedDelta
from platformless.protocol.index import CheckpointIndex
from platformless.protocol.sealing import Sealed
from platformless.protocol.secrecy import PublicKeyBytes
from tests.unit.test_delta import CLIENT_KEY, DELTA, ENTRY, HOST, HOST_KEY, RECOVERY, sealed_delta

HERE = Path(__file__).parent


def javascript(command: str, **fields: Any) -> Any:
    node = shutil.which("node")
    assert node is not None, "install Node.js"
    assert (HERE / "node_modules").is_dir(), "run `make interop`"
    result = subprocess.run(
        [node, HERE / "delta.mjs"],
        input=json.dumps({"command": command, **fields}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_javascript_opens_what_we_seal_and_finds_the_host() -> None:
    published = json.loads(deltas.encode(sealed_delta()))
    opened = javascript("open", published=published, privateKey=CLIENT_KEY.hex())
    assert opened["outerSigner"] == opened["innerSigner"] == str(HOST).lower()
    assert opened["delta"] == deltas.sign(DELTA, HOST_KEY).to_json()


@pytest.mark.parametrize("content", ["Grüße 👋", 'quotes " and \\ and \n\t\x01', "\u2028/é"])
def test_we_open_what_javascript_seals(content: str) -> None:
    message = replace(DELTA.messages[0], content=content)
    signed = deltas.sign(replace(DELTA, messages=(message,)), HOST_KEY)
    ephemeral, nonce = b"\x21" * 32, b"\x22" * 24
    sealed = javascript(
        "seal",
        delta=signed.to_json(),
        recipient=str(RECOVERY),
        ephemeral=ephemeral.hex(),
        nonce=nonce.hex(),
    )
    read = Sealed(
        PublicKeyBytes.from_hex(sealed["ephemeralPublicKey"]),
        nonce,
        bytes.fromhex(sealed["ciphertext"]),
    )
    opened = deltas.sign_sealed(read, RECOVERY, HOST_KEY).open(CLIENT_KEY)
    assert isinstance(opened, SignedDelta)
    assert opened == signed
    assert opened.signer() == HOST


def test_javascript_finds_the_host_of_an_index() -> None:
    index = CheckpointIndex(7, HOST).with_entry(ENTRY)
    signed = indexes.sign(index, sealed_delta().signature, HOST_KEY)
    found = javascript("signers", index=json.loads(signed.encode()))
    assert found["checkpoints"] == str(HOST).lower()


def test_javascript_does_not_open_what_was_changed() -> None:
    sealed = sealed_delta()
    assert isinstance(sealed, SealedDelta)
    published = json.loads(deltas.encode(sealed))
    published["ciphertext"] = "00" + published["ciphertext"][2:]
    with pytest.raises(AssertionError, match="invalid tag"):
        javascript("open", published=published, privateKey=CLIENT_KEY.hex())
