"""Commands that are killed, and run again with the same arguments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from platformless.chain.sending.outbox import Outbox
from platformless.chain.token import Erc20
from platformless.locks import FileLock
from platformless.node.registration import changing

from .conftest import Machine

_ROOT = Path(__file__).parents[2]
_DEADLINE_SECONDS = 60
_PRICES = 3
"""The first transaction that sets one: the allowance and the registration are final before."""
_CONFIRMATIONS = "100"
"""Of a command that is to be killed: it waits for so many blocks until the test makes them."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def killed_when(machine: Machine, condition: Callable[[], bool], *arguments: str) -> None:
    """Runs a command in a process of its own, and kills it (SIGKILL) as soon as this is so."""
    command = [sys.executable, "-m", "platformless.node", *arguments]
    process = subprocess.Popen(
        [*command, "--chain", "84532", "--env-file", str(machine.env_file)],
        cwd=machine.folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: condition() or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def are_mined(machine: Machine, count: int) -> Callable[[], bool]:
    """Whether so many transactions of a registration are mined. Until then each is made final that
    another waits for; prices wait for none of each other."""
    before = machine.nonce()
    final = 0

    def reached() -> bool:
        nonlocal final
        mined = machine.nonce() - before
        if final < mined < min(count, _PRICES):
            machine.ask(lambda chain: chain.command("anvil_mine", hex(int(_CONFIRMATIONS) - 1)))
            final = mined
        return mined >= count

    return reached


def keys_sent(machine: Machine) -> list[str]:
    """The keys of the machine's outbox, by nonce, without what prices are for."""
    outbox = Outbox(machine.folder / "data" / "outbox.db", 84532, machine.address)
    try:
        return ["/".join(entry.key.split("/")[:2]) for entry in outbox.entries()]
    finally:
        outbox.close()


@pytest.mark.parametrize("mined", [1, 2, 3, 4])
def test_a_registration_that_is_killed_is_completed_and_nothing_is_sent_twice(
    machine: Machine, mined: int
) -> None:
    machine.write_settings(CONFIRMATIONS=_CONFIRMATIONS)
    killed_when(machine, are_mined(machine, mined), *machine.registering("--yes"))
    machine.write_settings()
    done = machine.one(*machine.registering("--yes"))
    assert done["outcome"] == "done"
    assert machine.nonce() == 4
    assert keys_sent(machine) == [
        "registration/approve",
        "registration/register",
        "registration/price",
        "registration/price",
    ]
    [model] = machine.one("registration-status")["registration"]["models"]
    assert (model["price_usdc"], model["price_eth"]) == ("10000", "2272727273000")
    assert machine.fab().units == 1_000 * 10**18


def test_a_registration_killed_before_its_prices_replaces_those_of_an_earlier_one(
    machine: Machine,
) -> None:
    machine.register("--price-usdc", "5")
    machine.one("unregister-node", "--yes")
    machine.write_settings(CONFIRMATIONS=_CONFIRMATIONS)
    again = machine.registering("--price-usdc", "20", "--yes")
    killed_when(machine, are_mined(machine, 2), *again)
    machine.write_settings()
    assert machine.registered() is not None
    [model] = machine.one("registration-status")["registration"]["models"]
    assert model["price_usdc"] == "5000"

    done = machine.one(*again)
    assert machine.steps(done) == ["price"]
    [model] = machine.one("registration-status")["registration"]["models"]
    assert model["price_usdc"] == "20000"
    assert machine.one(*again, status=1)["error"]["code"] == "REG-201"


def test_a_price_that_was_changed_since_is_not_set_back_by_registering_again(
    machine: Machine,
) -> None:
    machine.register()
    machine.one("update-registration", "--price-usdc", "30", "--yes")
    refused = machine.one(*machine.registering("--yes"), status=1)
    assert refused["error"]["code"] == "REG-201"
    [model] = machine.one("registration-status")["registration"]["models"]
    assert model["price_usdc"] == "30000"


def test_a_dry_run_leaves_alone_what_is_under_way(machine: Machine) -> None:
    machine.write_settings(CONFIRMATIONS=_CONFIRMATIONS)
    killed_when(machine, are_mined(machine, 1), *machine.registering("--yes"))
    planned = machine.one(*machine.registering("--dry-run"))
    assert machine.steps(planned) == ["register", "price", "price"]
    assert any("still under way" in warning for warning in planned["warnings"])
    assert machine.nonce() == 1


def test_two_commands_do_not_register_at_once(machine: Machine) -> None:
    folder = machine.folder / "data"
    folder.mkdir()
    lock = FileLock(folder / f"registration.84532.{machine.address.value.hex()}.lock")
    assert lock.take()
    refused = machine.one(*machine.registering("--yes"), status=3)
    assert refused["error"]["code"] == "REG-303"
    lock.release()
    assert machine.nonce() == 0
    machine.register()


def test_what_changes_while_the_operator_decides_is_not_sent(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the account approves the stake from another machine."""

    def decide(*_: object, **__: object) -> bool:
        network = machine.dev_chain.network
        stake = network.fab.amount(1_000)
        machine.send_as(
            machine.name,
            lambda chain: Erc20(chain, network.fab).approve(network.node_registry, stake),
        )
        return True

    monkeypatch.setattr(changing, "is_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", decide)
    result = machine.run(*machine.registering("--chain", "84532"))
    assert result.exit_code == 3
    assert "REG-302" in result.output
    assert machine.nonce() == 1
    assert machine.steps(machine.register()) == ["register", "price", "price"]
