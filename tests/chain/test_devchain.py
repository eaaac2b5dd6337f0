"""The dev chain: complete, and gone with whoever started it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from platformless.chain.devchain import DevChain
from platformless.chain.devchain.accounts import NAMES
from platformless.chain.devchain.anvil import Anvil, find_anvil
from platformless.chain.errors import AnvilFailed, AnvilNotFound
from platformless.chain.money import NATIVE
from platformless.protocol.digests import Address

from .world import World

COMMAND = [sys.executable, "-m", "platformless.node", "dev-chain", "--port", "0"]


async def alive(process_id: int) -> bool:
    """Whether a process still runs after at most a minute in which it may end."""
    try:
        async with asyncio.timeout(60):
            while Path(f"/proc/{process_id}").exists():
                state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
                if state == "Z":
                    return False
                await asyncio.sleep(0.02)
    except TimeoutError:
        return True
    except FileNotFoundError:
        return False
    return False


def read_until(stream: IO[bytes], end: str) -> str:
    """What a command printed, up to `end`."""
    text = ""
    while not text.endswith(end):
        line = stream.readline()
        assert line, f"ended after {text!r}"
        text += line.decode()
    return text


async def test_every_named_account_has_money(world: World) -> None:
    for name in NAMES:
        address = Address.from_hex(world.dev_chain.accounts[name].address)
        assert await world.chain.balance(address) > NATIVE.amount(900).units
        assert (await world.fab.balance(address)).units > 0
        assert (await world.usdc.balance(address)).units > 0


def test_the_environment_names_every_contract(dev_chain: DevChain) -> None:
    environment = dev_chain.environment()
    assert environment["CHAIN_ID"] == "84532"
    assert environment["CONTRACT_JOB_MARKETPLACE"] == str(dev_chain.network.marketplace)
    assert set(map(str, dev_chain.contracts().values())) <= set(environment.values())


async def test_anvil_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE)
    assert command.stdout is not None
    chain = json.loads(read_until(command.stdout, "\n}\n"))["chain"]
    assert Path(f"/proc/{chain['process_id']}").exists()
    command.kill()
    command.wait()
    assert not await alive(chain["process_id"])
    assert tmp_path.exists()


async def test_the_command_shows_a_table_and_writes_the_environment(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    command = subprocess.Popen(
        [*COMMAND, "--env-file", str(env_file)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert command.stdout is not None
    shown = read_until(command.stdout, "stop with Ctrl-C\n")
    os.kill(command.pid, signal.SIGINT)
    assert command.wait(timeout=60) == 0
    assert all(name in shown for name in (*NAMES, "JobMarketplace", "model id", "# .env"))
    assert env_file.stat().st_mode & 0o777 == 0o600  # it holds a key
    written = env_file.read_text()
    assert written in shown
    assert "HOST_PRIVATE_KEY=0x" in written


async def test_a_port_in_use_is_told(world: World) -> None:
    port = int(world.dev_chain.rpc_url.rpartition(":")[2])
    with pytest.raises(AnvilFailed) as error:
        Anvil(84532, port=port)
    assert "in use" in str(error.value)


def test_a_missing_anvil_is_told_with_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANVIL", "/nowhere/anvil")
    with pytest.raises(AnvilNotFound) as error:
        find_anvil()
    assert error.value.expected == "/nowhere/anvil"
