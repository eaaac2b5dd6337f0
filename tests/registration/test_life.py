"""The life of a registration on a real chain, by the commands of the deployment guide."""

from __future__ import annotations

import json

from platformless.chain.host_metadata import key_in_metadata
from platformless.chain.model_registry import ModelRegistry
from platformless.chain.node_registry import NodeRegistry

from .conftest import OTHER_MODEL, Machine


def test_a_host_registers_looks_changes_and_leaves(machine: Machine) -> None:
    planned = machine.one(*machine.registering("--dry-run"))
    assert machine.steps(planned) == ["approve", "register", "price", "price"]
    assert (planned["outcome"], planned["error"]) == ("planned", None)
    assert machine.nonce() == 0

    status = machine.run("registration-status", "--chain", "84532")
    assert status.exit_code == 1
    assert "❌ Node not registered on chain 84532" in status.stdout

    done = machine.run(*machine.registering("--yes", "--chain", "84532"))
    assert done.exit_code == 0, done.output
    assert machine.nonce() == 4

    status = machine.run("registration-status", "--chain", "84532")
    assert status.exit_code == 0, status.output
    assert status.stdout.splitlines()[:4] == [
        "✅ Node registered on chain 84532",
        "Name: Node 1",
        "API URL: http://127.0.0.1:8080",
        f"Models: [{machine.model}]",
    ]
    assert "Stake: 1,000 FAB (required: 1,000 FAB)" in status.stdout
    assert "Public key: this host's" in status.stdout
    assert "approved, 10 USDC and 0.002272727273 ETH per million tokens" in status.stdout

    changed = machine.one(
        *("update-registration", "--api-url", "http://127.0.0.1:9090/", "--name", "Node 2"),
        *("--price-usdc", "12.5", "--yes"),
    )
    assert machine.steps(changed) == ["api-url", "metadata", "price"]
    host = machine.one("registration-status")["registration"]
    assert (host["name"], host["api_url"]) == ("Node 2", "http://127.0.0.1:9090")
    assert host["models"][0]["price_usdc"] == "12500"

    left = machine.one("unregister-node", "--yes")
    assert machine.steps(left) == ["unregister"]
    assert machine.registered() is None
    assert machine.fab().units == 2_000 * 10**18

    again = machine.register()
    # The price in ETH outlived the registration and is the one that is asked.
    assert machine.steps(again) == ["approve", "register", "price"]
    assert machine.one("registration-status")["registration"]["models"][0]["price_usdc"] == "10000"


def test_metadata_is_what_clients_read(machine: Machine) -> None:
    machine.register("--location", "eu-west", "--max-concurrent", "3")
    host = machine.registered()
    assert host is not None
    assert key_in_metadata(host.metadata, machine.address) is not None
    fields = json.loads(host.metadata)
    assert host.metadata.startswith("{")
    assert set(fields) == {
        *("name", "version", "hardware", "capabilities", "location"),
        *("performance_tier", "maxConcurrentJobs", "maxConcurrent", "publicKey"),
    }
    assert set(fields["hardware"]) == {"gpu", "vram", "ram", "cpu"}
    assert fields["hardware"]["ram"] > 0
    assert fields["capabilities"] == ["inference", "streaming", "session-proofs"]
    assert (fields["location"], fields["maxConcurrent"], fields["maxConcurrentJobs"]) == (
        "eu-west",
        3,
        3,
    )
    assert len(fields["publicKey"]) == 66


def test_only_what_differs_is_sent(machine: Machine, other_model: str) -> None:
    machine.register()
    before = machine.nonce()
    same = machine.one(
        *("update-registration", "--api-url", "http://127.0.0.1:8080", "--models", machine.model),
        *("--name", "Node 1", "--price-usdc", "10", "--yes"),
    )
    assert same["steps"] == []
    assert machine.nonce() == before
    lines = machine.run("update-registration", "--chain", "84532", "--name", "Node 1", "--yes")
    assert "nothing to send" in lines.stdout

    more = machine.one(
        *("update-registration", "--models", f"{machine.model},{other_model}"),
        *("--price-usdc", f"{other_model}=3", "--yes"),
    )
    assert machine.steps(more) == ["models", "price", "price"]
    models = machine.one("registration-status")["registration"]["models"]
    assert [model["price_usdc"] for model in models] == ["10000", "3000"]
    assert models[1]["name"] == f"{OTHER_MODEL.repository}/{OTHER_MODEL.file_name}"


def test_metadata_that_others_wrote_stays(machine: Machine) -> None:
    machine.register()
    host = machine.registered()
    assert host is not None
    fields = json.loads(host.metadata) | {"ltx": {"bundleCID": "b"}, "reputation": 99}

    machine.send_as(
        machine.name, lambda chain: NodeRegistry(chain).set_metadata(json.dumps(fields))
    )
    machine.one("update-registration", "--location", "us", "--yes")
    changed = machine.registered()
    assert changed is not None
    assert json.loads(changed.metadata) == fields | {"location": "us"}
    machine.one("update-registration", "--hardware", "--yes")
    assert machine.registered() == changed


def test_a_model_may_be_named_by_repository_and_file(machine: Machine) -> None:
    model = machine.dev_chain.model
    name = f"{model.repository}/{model.file_name}"
    machine.one(
        *("register-node", "--name", "n", "--api-url", "http://127.0.0.1:8080"),
        *("--models", name, "--price-usdc", f"{name}=0.001", "--price-eth", "0.001", "--yes"),
    )
    [found] = machine.one("registration-status")["registration"]["models"]
    assert found["id"] == machine.model
    assert (found["price_usdc"], found["price_eth"]) == ("1", str(10**12))


def test_a_model_that_loses_its_approval_is_told_and_not_taken_again(
    machine: Machine, other_model: str
) -> None:
    machine.register()
    machine.one("update-registration", "--models", f"{machine.model},{other_model}", "--yes")
    machine.send_as("owner", lambda chain: ModelRegistry(chain).withdraw_approval(OTHER_MODEL.id))
    try:
        host = machine.one("registration-status")["registration"]
        assert [model["approved"] for model in host["models"]] == [True, False]
        assert any("not approved" in problem for problem in host["problems"])
        refused = machine.one("update-registration", "--models", other_model, "--yes", status=1)
        assert refused["error"]["code"] == "REG-203"
        assert f"{other_model} (not approved)" in refused["error"]["got"]
    finally:
        machine.send_as("owner", lambda chain: ModelRegistry(chain).renew_approval(OTHER_MODEL.id))
    machine.one("update-registration", "--models", machine.model, "--yes")
    host = machine.one("registration-status")["registration"]
    assert [model["id"] for model in host["models"]] == [machine.model]
