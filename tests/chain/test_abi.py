"""Our contracts have exactly the external ABI of the deployed ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_utils.abi import abi_to_signature

from platformless.chain.abi import load_abi, load_bytecode
from platformless.chain.contract import event_topic
from platformless.protocol.digests import keccak256

DEPLOYED = Path(__file__).parents[2] / "contracts" / "abi"
CONTRACTS = ("JobMarketplace", "NodeRegistry", "ModelRegistry", "ProofSystem", "HostEarnings")
LARGEST_CONTRACT_BYTES = 24_576  # EIP-170


def described(entries: list[dict[str, Any]]) -> set[str]:
    """Kind, signature, outputs and mutability of what can be called, logged or raised."""
    found = set()
    for entry in entries:
        if entry["type"] in ("constructor", "receive", "fallback"):
            found.add(entry["type"])
            continue
        outputs = [_shape(item) for item in entry.get("outputs", [])]
        indexed = [item.get("indexed", False) for item in entry["inputs"]]
        parts = (entry["type"], abi_to_signature(entry), outputs, indexed)  # type: ignore[arg-type]
        found.add(f"{parts} {entry.get('stateMutability', '')}")
    return found


def _shape(item: dict[str, Any]) -> str:
    if "components" in item:
        return f"({','.join(map(_shape, item['components']))}){item['type'][5:]}"
    return str(item["type"])


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_has_the_deployed_abi(contract: str) -> None:
    deployed = json.loads((DEPLOYED / f"{contract}.json").read_text())
    assert described(load_abi(contract)) == described(deployed)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_fits_on_a_chain(contract: str) -> None:
    assert 0 < len(load_bytecode(contract)) <= LARGEST_CONTRACT_BYTES


def test_selectors_and_topics_are_the_known_ones() -> None:
    assert keccak256(b"submitProofOfWork(uint256,uint256,bytes32,string,string)")[:4].hex() == (
        "7c5cb561"
    )
    topic = event_topic("JobMarketplace", "ProofSubmitted").hex()
    assert topic.startswith("330d363d")
    assert topic.endswith("d7702")
