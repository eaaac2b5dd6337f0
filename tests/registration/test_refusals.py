"""What the commands refuse, with which code and exit status; nothing is ever sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from platformless.chain.connection import Chain, ContractCall
from platformless.chain.devchain import DevChain
from platformless.chain.node_registry import NodeRegistry
from platformless.chain.rpc import RpcSettings
from platformless.chain.token import Erc20
from platformless.node.registration import chains, changing

from .conftest import Machine

UNKNOWN = "0x" + "ab" * 32
FIELDS = {
    "--name": "Node 1",
    "--api-url": "http://127.0.0.1:8080",
    "--chain": "84532",
}


def registering(machine: Machine, changes: dict[str, str], *more: str) -> list[str]:
    fields = FIELDS | {"--models": machine.model} | changes
    return ["register-node", *(part for item in fields.items() for part in item), "--yes", *more]


@pytest.mark.parametrize(
    ("changes", "more", "code", "status"),
    [
        ({"--chain": "1"}, [], "REG-102", 2),
        ({}, ["--all-chains"], "REG-101", 2),
        ({"--name": " "}, [], "REG-103", 2),
        ({"--name": "n" * 101}, [], "REG-103", 2),
        ({"--name": "a\nb"}, [], "REG-103", 2),
        ({"--api-url": "ftp://node.example.com"}, [], "REG-104", 2),
        ({"--api-url": "node.example.com:8080"}, [], "REG-104", 2),
        ({"--api-url": "https://me:secret@node.example.com"}, [], "REG-104", 2),
        ({"--api-url": "https://node.example.com/?a=b"}, [], "REG-104", 2),
        ({"--api-url": "https://node.example.com:99999"}, [], "REG-104", 2),
        ({"--models": " , "}, [], "REG-105", 2),
        ({"--models": "0x1234"}, [], "REG-105", 2),
        ({"--models": "smollm2.gguf"}, [], "REG-105", 2),
        ({"--models": UNKNOWN}, [], "REG-203", 1),
        ({"--models": "owner/name/unknown.gguf"}, [], "REG-203", 1),
        ({}, ["--price-usdc", "0"], "REG-106", 2),
        ({}, ["--price-usdc", "cheap"], "REG-106", 2),
        ({}, ["--price-usdc", "0.0001"], "REG-106", 2),
        ({}, ["--price-usdc", "1000000"], "REG-106", 2),
        ({}, ["--price-eth", "100"], "REG-106", 2),
        ({}, ["--price-usdc", "1", "--price-usdc", "2"], "REG-106", 2),
        ({}, ["--price-eth", f"{UNKNOWN}=0.001"], "REG-106", 2),
        ({"--performance-tier": "Very Fast"}, [], "REG-107", 2),
        ({}, ["--location", ""], "REG-107", 2),
        ({}, ["--max-concurrent", "0"], "REG-107", 2),
    ],
)
def test_what_cannot_be_registered_is_refused(
    machine: Machine, changes: dict[str, str], more: Sequence[str], code: str, status: int
) -> None:
    result = machine.run(*registering(machine, changes, *more))
    assert result.exit_code == status, result.output
    assert code in result.output
    assert "secret" not in result.output
    assert machine.nonce() == 0


def test_a_chain_that_is_none_is_told_which_there_are(machine: Machine) -> None:
    for command in ("registration-status", "unregister-node", "update-registration"):
        more = ["--name", "n"] if command.startswith("update") else []
        yes = [] if command.endswith("status") else ["--yes"]
        document = machine.json(command, "--chain", "5611", *more, *yes, status=2)
        assert document["outcome"] == "invalid"
        assert document["error"]["expected"] == "84532"
        assert machine.run(command, *more, *yes).exit_code == 2


def test_a_registration_without_its_options_is_a_wrong_usage(machine: Machine) -> None:
    assert machine.run("register-node", "--chain", "84532", "--yes").exit_code == 2


def test_a_second_registration_is_refused_and_says_what_to_do(machine: Machine) -> None:
    machine.register()
    sent = machine.nonce()
    refused = machine.one(*machine.registering("--yes"), status=1)
    assert refused["error"]["code"] == "REG-201"
    assert "update-registration" in refused["error"]["advice"]
    other = machine.one(*machine.registering("--yes", "--name", "Other"), status=1)
    assert other["error"]["got"] == "another name"
    assert machine.nonce() == sent


def test_who_is_not_registered_has_nothing_to_change_or_to_leave(machine: Machine) -> None:
    for arguments in (("update-registration", "--name", "n"), ("unregister-node",)):
        refused = machine.one(*arguments, "--yes", status=1)
        assert refused["error"]["code"] == "REG-202"
    nothing = machine.run("update-registration", "--chain", "84532", "--yes")
    assert nothing.exit_code == 2
    assert "REG-108" in nothing.output


def test_a_stake_that_cannot_be_paid_is_told_before_anything_is_sent(machine: Machine) -> None:
    def give_away(chain: Chain) -> ContractCall:
        token = chain.network.fab
        to = chain.network.host_earnings
        return Erc20(chain, token).transfer(to, token.amount(1_500))

    machine.send_as(machine.name, give_away)
    refused = machine.one(*machine.registering("--yes"), status=1)
    assert refused["error"]["code"] == "REG-204"
    assert (refused["error"]["expected"], refused["error"]["got"]) == ("1,000 FAB", "500 FAB")


def test_fees_that_cannot_be_paid_are_told_before_anything_is_sent(machine: Machine) -> None:
    machine.ask(lambda chain: chain.command("anvil_setBalance", str(machine.address), hex(10**12)))
    refused = machine.one(*machine.registering("--yes"), status=1)
    assert refused["error"]["code"] == "REG-205"
    assert refused["error"]["got"] == "0.000001 ETH"
    assert machine.nonce() == 0


def test_a_stake_that_is_approved_already_is_not_approved_again(machine: Machine) -> None:
    def approve(chain: Chain) -> ContractCall:
        network = chain.network
        return Erc20(chain, network.fab).approve(network.node_registry, network.fab.amount(1_500))

    machine.send_as(machine.name, approve)
    assert machine.steps(machine.register()) == ["register", "price", "price"]


def test_a_chain_that_does_not_answer_is_no_answer(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "PATIENCE", RpcSettings(0.1, 0.1))
    machine.write_settings(RPC_URL="http://127.0.0.1:1")
    status = machine.one("registration-status", status=3)
    assert (status["registered"], status["error"]["code"]) == (None, "CHN-101")
    assert machine.one(*machine.registering("--yes"), status=3)["error"]["code"] == "CHN-101"


@pytest.fixture
def second_chain(dev_chain: DevChain, monkeypatch: pytest.MonkeyPatch) -> int:
    """Another deployment, whose chain is down."""
    network = replace(dev_chain.network, chain_id=31338, rpc_urls=("http://127.0.0.1:1",))
    monkeypatch.setattr(chains, "DEPLOYMENTS", (network,))
    monkeypatch.setattr(chains, "PATIENCE", RpcSettings(20.0, 2.0))
    return network.chain_id


def test_a_chain_that_fails_keeps_no_other_from_its_turn(
    machine: Machine, second_chain: int
) -> None:
    document = machine.json(*machine.registering("--all-chains", "--yes"), status=3)
    assert document["outcome"] == "failed"
    assert [(chain["chain_id"], chain["outcome"]) for chain in document["chains"]] == [
        (84532, "done"),
        (second_chain, "failed"),
    ]
    document = machine.json("registration-status", "--all-chains", status=3)
    assert [chain["registered"] for chain in document["chains"]] == [True, None]
    text = machine.run("registration-status", "--all-chains")
    assert text.exit_code == 3
    assert "✅ Node registered on chain 84532" in text.stdout
    refused = machine.run("unregister-node", "--chain", "7", "--yes")
    assert "84532, 31338" in refused.output


class TestAsking:
    """A prompt on a terminal, an error elsewhere."""

    def test_without_a_terminal_nothing_is_sent_without_yes(self, machine: Machine) -> None:
        for more in ([], ["--json"]):
            result = machine.run(*machine.registering("--chain", "84532", *more))
            assert result.exit_code == 2
            assert "REG-109" in result.output
            assert "--yes" in result.output
        assert machine.nonce() == 0

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_who_does_not_agree_sends_nothing(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, answer: str
    ) -> None:
        monkeypatch.setattr(changing, "is_terminal", lambda: True)
        result = machine.run(*machine.registering("--chain", "84532"), answer=answer)
        assert result.exit_code == 1
        assert "REG-206" in result.output
        assert machine.nonce() == 0

    def test_fees_are_shown_before_one_agrees(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(changing, "is_terminal", lambda: True)
        result = machine.run(*machine.registering("--chain", "84532"), answer="y\n")
        assert result.exit_code == 0, result.output
        before, asked, after = result.stdout.partition("Send these 4 transactions?")
        assert asked
        assert "approve 1,000 FAB for NodeRegistry (" in before
        assert "gas" in before
        assert "at most 0.0" in before
        assert "transaction 0x" in after
        assert "✅ Node registered on chain 84532" in after
        assert machine.ask(lambda chain: NodeRegistry(chain).host(machine.address)) is not None

    def test_who_has_nothing_to_send_is_not_asked(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.register()
        monkeypatch.setattr(changing, "is_terminal", lambda: True)
        result = machine.run("update-registration", "--chain", "84532", "--name", "Node 1")
        assert result.exit_code == 0
        assert "nothing to send" in result.stdout
