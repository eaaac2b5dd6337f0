"""The host's money, stake, registration and prices, on a real chain."""

from __future__ import annotations

from typing import Any

from platformless.chain.devchain.accounts import dev_account
from platformless.chain.money import NATIVE
from platformless.node.doctor.finding import Level
from platformless.node.doctor.host_checks import SUBMISSION_GAS
from tests.chain.world import NATIVE_PRICE
from tests.node.served import until
from tests.node.world import NodeWorld

from .conftest import Patient, levels

URL = "https://node.example.com"


def key_of(name: str) -> str:
    return "0x" + dev_account(name).key.hex()


async def test_the_key_and_its_account_are_told(patient: Patient) -> None:
    found = await patient.finding("host-key")
    assert found.level is Level.OK
    assert str(patient.world.address("host")) in found.says
    assert key_of("host")[2:] not in f"{found}"


async def test_a_key_file_that_others_may_read_is_told(patient: Patient) -> None:
    file = patient.folder / "host.key"
    file.write_text(key_of("host"))
    file.chmod(0o644)
    changes: dict[str, Any] = {"HOST_PRIVATE_KEY": "", "HOST_PRIVATE_KEY_FILE": file}
    report = await patient.examined("host-key", "gas", "rpc", **changes)
    by_name = {finding.name: finding for finding in report.findings}
    assert by_name["host-key"].level is Level.ERROR
    assert "KEY-001" in by_name["host-key"].says
    assert by_name["gas"].level is Level.SKIPPED
    assert by_name["rpc"].level is Level.OK
    file.chmod(0o600)
    assert (await patient.finding("host-key", **changes)).level is Level.OK


async def test_a_signer_that_does_not_answer_is_told(patient: Patient) -> None:
    changes: dict[str, Any] = {"HOST_PRIVATE_KEY": "", "HOST_SIGNER_URL": "http://127.0.0.1:1"}
    found = await patient.finding("host-key", **changes)
    assert (found.level, "KEY-004" in found.says) == (Level.ERROR, True)


async def test_what_a_submission_takes_is_not_underestimated(patient: Patient) -> None:
    session = await patient.world.open_session()
    await patient.world.pass_time(60)
    call = patient.world.marketplace.submit_proof(patient.world.submission(session, 100))
    confirmed = await patient.world.send("host", call)
    receipt = await patient.world.chain.receipt(confirmed.transaction_hash)
    assert receipt is not None
    assert SUBMISSION_GAS / 3 < receipt.gas_used <= SUBMISSION_GAS


async def test_money_for_gas_is_counted_in_submissions(patient: Patient) -> None:
    assert (await patient.finding("gas")).level is Level.OK
    poor = patient.world.address("delegate")
    for submissions, level in ((0, Level.ERROR), (3, Level.ERROR), (100, Level.WARNING)):

        async def is_told(submissions: int = submissions, level: Level = level) -> bool:
            prices = await patient.world.chain.gas_prices()  # other tests' blocks change them
            each = SUBMISSION_GAS * (prices.base_fee + prices.priority_fee)
            balance = hex(each * submissions)
            await patient.world.chain.command("anvil_setBalance", str(poor), balance)
            found = await patient.finding("gas", HOST_PRIVATE_KEY=key_of("delegate"))
            return found.level is level and str(poor) in found.says

        await until(is_told)


async def test_a_host_that_is_not_registered_is_told(patient: Patient) -> None:
    changes: dict[str, Any] = {"HOST_PRIVATE_KEY": key_of("auditor")}
    found = await patient.finding("registration", **changes)
    assert found.level is Level.ERROR
    assert "register-node" in found.advice
    assert (await patient.finding("stake", **changes)).level is Level.OK


async def test_an_account_that_cannot_stake_is_told(patient: Patient) -> None:
    found = await patient.finding("stake", HOST_PRIVATE_KEY="0x" + "31" * 32)
    assert found.level is Level.ERROR
    assert "0 FAB" in found.says


async def test_a_registration_as_clients_read_it_is_well(
    patient: Patient, nodes: NodeWorld
) -> None:
    await nodes.announce(URL)
    report = await patient.examined("registration", "stake", PUBLIC_URL=f"{URL}/")
    assert set(levels(list(report.findings))) == {Level.OK}
    prices = [finding for finding in report.findings if finding.name == "prices"]
    assert "USDC" in prices[0].says


async def test_another_address_than_the_registered_one_is_told(
    patient: Patient, nodes: NodeWorld
) -> None:
    await nodes.announce(URL)
    told = await patient.findings("registration", PUBLIC_URL="https://other.example.com")
    assert told[0].level is Level.ERROR
    assert URL in told[0].says
    assert (await patient.findings("registration"))[0].level is Level.WARNING


async def test_another_key_in_the_metadata_is_told(patient: Patient, nodes: NodeWorld) -> None:
    world = patient.world
    await nodes.announce(URL)
    foreign = nodes.host_key.value.hex()
    await world.register("host-2")
    changes: dict[str, Any] = {
        "HOST_PRIVATE_KEY": key_of("host-2"),
        "PUBLIC_URL": "http://127.0.0.1:8080",
    }
    assert (await patient.findings("registration", **changes))[1].level is Level.WARNING
    await world.send("host-2", world.nodes.set_metadata(f'{{"publicKey":"{foreign}"}}'))
    found = (await patient.findings("registration", **changes))[1]
    assert (found.level, "publicKey" in found.says) == (Level.ERROR, True)


async def test_models_without_a_price_are_told(patient: Patient) -> None:
    world = patient.world
    await world.register("host-2")
    changes: dict[str, Any] = {"HOST_PRIVATE_KEY": key_of("host-2")}

    async def price_level() -> Level:
        report = await patient.examined("registration", **changes)
        [found] = [finding for finding in report.findings if finding.name == "prices"]
        return found.level

    assert await price_level() is Level.OK
    try:
        await world.send("host-2", world.nodes.clear_price(world.model_id, NATIVE))
        assert await price_level() is Level.WARNING
        await world.send("host-2", world.nodes.clear_price(world.model_id, world.network.usdc))
        assert await price_level() is Level.ERROR
    finally:
        await world.send("host-2", world.nodes.set_price(world.model_id, NATIVE_PRICE))
        await world.send("host-2", world.nodes.set_price(world.model_id, world.usdc_price))
