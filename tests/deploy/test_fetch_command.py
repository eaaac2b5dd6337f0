"""`fabstir-llm-node fetch-model` against a chain whose registry knows the file, or does not."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platformless.chain.model_registry import FileHash, ModelFile

from ..chain.conftest import dev_chain, world
from ..chain.world import World
from .file_server import FileServer

__all__ = ["dev_chain", "world"]

CONTENT = b"GGUF" + bytes(range(256)) * 1000


def command(world: World, *words: str) -> tuple[int, dict[str, object]]:
    network = world.network
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "RPC_URL": network.rpc_urls[0],
        "CHAIN_ID": str(network.chain_id),
        "CONTRACT_MODEL_REGISTRY": str(network.model_registry),
    }
    done = subprocess.run(
        [sys.executable, "-m", "platformless.node", "fetch-model", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


async def approved(world: World, name: str) -> ModelFile:
    file = ModelFile("tests/fetching", name, FileHash(hashlib.sha256(CONTENT).digest()))
    if await world.models.model(file.id) is None:
        await world.send("owner", world.models.approve(file))
    return file


async def test_a_registered_model_is_fetched_without_any_key(world: World, tmp_path: Path) -> None:
    file = await approved(world, "right.gguf")
    with FileServer(CONTENT, cut_after=[1000]) as server:
        status, said = command(
            world,
            server.url("right.gguf"),
            "--repository",
            file.repository,
            "--out",
            str(tmp_path / "models"),
        )
    assert (status, said["outcome"]) == (0, "done")
    assert said["model_id"] == str(file.id)
    assert said["sha256"] == str(file.file_hash)
    assert (tmp_path / "models" / "right.gguf").read_bytes() == CONTENT


async def test_a_model_that_the_registry_does_not_know_is_not_even_asked_for(
    world: World, tmp_path: Path
) -> None:
    with FileServer(CONTENT) as server:
        status, said = command(
            world, server.url("unknown.gguf"), "--repository", "a/b", "--out", str(tmp_path)
        )
    assert (status, said["error"]["code"]) == (2, "FET-102")  # type: ignore[index]
    assert server.ranges == []


async def test_a_model_that_was_withdrawn_is_refused(world: World, tmp_path: Path) -> None:
    file = await approved(world, "withdrawn.gguf")
    await world.send("owner", world.models.withdraw_approval(file.id))
    with FileServer(CONTENT) as server:
        status, said = command(
            world,
            server.url("withdrawn.gguf"),
            "--repository",
            file.repository,
            "--out",
            str(tmp_path),
        )
    assert (status, said["error"]["code"]) == (2, "FET-103")  # type: ignore[index]


async def test_a_file_with_another_hash_than_the_registrys_is_rejected(
    world: World, tmp_path: Path
) -> None:
    file = await approved(world, "other.gguf")
    with FileServer(CONTENT[::-1]) as server:
        status, said = command(
            world,
            server.url("other.gguf"),
            "--repository",
            file.repository,
            "--out",
            str(tmp_path),
        )
    assert (status, said["error"]["code"]) == (1, "FET-303")  # type: ignore[index]
    assert not (tmp_path / "other.gguf").exists()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_secret_file_that_cannot_be_read_ends_every_command(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "platformless.node", *options, "jobs"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LEDGER_URL_FILE": "/nowhere/ledger_url"},
        check=False,
    )
    assert done.returncode == 2
    assert "NOD-120" in done.stdout + done.stderr
