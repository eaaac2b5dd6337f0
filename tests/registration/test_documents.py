"""The JSON of the commands, and what transactions are thought to cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.chain import networks
from platformless.chain.networks import BASE_SEPOLIA, Network
from platformless.chain.sending.outbox import Outbox
from platformless.node.registration.chains import DEPLOYMENTS, chosen
from platformless.node.registration.errors import ChainNotKnown, ChainNotNamed

from .conftest import OTHER_MODEL, Machine

CHANGE = {"chain_id", "host", "outcome", "warnings", "steps", "error"}
STEP = {
    *("step", "text", "call", "gas", "gas_measured"),
    *("expected_fee_wei", "most_fee_wei", "transaction"),
}
STATUS = {"chain_id", "host", "outcome", "registered", "registration", "error"}
REGISTRATION = {
    *("name", "api_url", "active", "stake", "required_stake", "public_key"),
    *("metadata", "models", "problems"),
}


def test_the_json_of_a_change_is_stable(machine: Machine) -> None:
    document = machine.json(*machine.registering("--chain", "84532", "--yes"))
    assert set(document) == {"format", "command", "outcome", "dry_run", "chains"}
    assert (document["command"], document["outcome"]) == ("register-node", "done")
    [chain] = document["chains"]
    assert set(chain) == CHANGE
    assert (chain["chain_id"], chain["host"]) == (84532, str(machine.address))
    for step in chain["steps"]:
        assert set(step) == STEP
        assert set(step["transaction"]) == {"hash", "block_number", "fee_wei"}
        assert int(step["transaction"]["fee_wei"]) <= int(step["most_fee_wei"])
    assert chain["steps"][0]["text"] == "approve 1,000 FAB for NodeRegistry"
    assert chain["steps"][0]["call"].startswith("approve(1,000 FAB for 0x")

    planned = machine.one("unregister-node", "--dry-run")
    assert set(planned) == CHANGE
    assert planned["steps"][0]["transaction"] is None

    refused = machine.one(*machine.registering("--yes"), status=1)
    assert set(refused) == CHANGE
    assert set(refused["error"]) == {"code", "message", "advice"}


def test_the_json_of_a_registration_is_stable(machine: Machine) -> None:
    document = machine.json("registration-status", "--chain", "84532", status=1)
    assert set(document) == {"format", "command", "outcome", "chains"}
    [chain] = document["chains"]
    assert set(chain) == STATUS
    assert (chain["registered"], chain["registration"]) == (False, None)
    assert chain["error"]["code"] == "REG-202"
    machine.register()
    chain = machine.one("registration-status")
    assert set(chain) == STATUS
    host = chain["registration"]
    assert set(host) == REGISTRATION
    assert (host["stake"], host["public_key"], host["problems"]) == (str(10**21), "own", [])
    assert set(host["models"][0]) == {"id", "name", "approved", "price_usdc", "price_eth"}


def test_another_host_is_looked_at_without_a_key(machine: Machine) -> None:
    machine.register()
    lines = machine.env_file.read_text().splitlines()
    without = "".join(f"{line}\n" for line in lines if "PRIVATE_KEY" not in line)
    machine.env_file.write_text(without)
    chain = machine.one("registration-status", "--address", str(machine.address))
    assert chain["registered"] is True
    assert machine.run("registration-status", "--chain", "84532").exit_code == 2
    malformed = machine.run("registration-status", "--chain", "84532", "--address", "0x12")
    assert malformed.exit_code == 2
    assert "REG-107" in malformed.output


def test_a_model_file_that_is_no_registered_model_is_told(
    machine: Machine, other_model: str
) -> None:
    planned = machine.one(*machine.registering("--dry-run"))
    assert not any("MODEL_PATH" in warning for warning in planned["warnings"])
    arguments = machine.registering("--dry-run", "--models", other_model)
    assert any("MODEL_PATH" in warning for warning in machine.one(*arguments)["warnings"])
    machine.write_settings(MODEL_PATH=str(machine.folder / "none.gguf"))
    planned = machine.one(*machine.registering("--dry-run"))
    assert any("was not checked: ENG-101" in warning for warning in planned["warnings"])


@pytest.mark.parametrize("models", [1, 2])
def test_gas_that_cannot_be_measured_is_reckoned_closely(
    machine: Machine, other_model: str, models: int
) -> None:
    named = ",".join([machine.model, other_model][:models])
    url = "http://a-somewhat-longer-address.example.com:8080"
    done = machine.register("--models", named, "--api-url", url)
    outbox = Outbox(machine.folder / "data" / "outbox.db", 84532, machine.address)
    used = [entry.gas_used for entry in outbox.entries()]
    outbox.close()
    assert [step["gas_measured"] for step in done["steps"][:2]] == [True, False]
    for step, gas in zip(done["steps"], used, strict=True):
        assert gas is not None
        assert gas <= step["gas"] <= 1.25 * gas, step
    assert OTHER_MODEL.file_name not in done["steps"][0]["text"]


class TestChains:
    OTHER = replace(BASE_SEPOLIA, name="other", chain_id=31338)

    def test_every_deployment_that_is_known_is_one_of_all_chains(self) -> None:
        found = [value for value in vars(networks).values() if isinstance(value, Network)]
        assert list(DEPLOYMENTS) == found

    def test_the_configured_network_stands_in_for_the_deployment_with_its_id(self) -> None:
        configured = replace(BASE_SEPOLIA, name="mine")
        assert chosen(None, True, configured) == (configured,)
        assert chosen(84532, False, configured) == (configured,)

    def test_a_configured_network_comes_before_the_deployments(self) -> None:
        assert chosen(None, True, self.OTHER) == (self.OTHER, BASE_SEPOLIA)
        assert chosen(84532, False, self.OTHER) == (BASE_SEPOLIA,)

    def test_one_or_all_must_be_named(self) -> None:
        for chain_id, all_chains in ((None, False), (84532, True)):
            with pytest.raises(ChainNotNamed, match="84532"):
                chosen(chain_id, all_chains, BASE_SEPOLIA)
        with pytest.raises(ChainNotKnown, match="31338, 84532; got 1"):
            chosen(1, False, self.OTHER)
