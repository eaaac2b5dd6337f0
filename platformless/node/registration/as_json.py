"""Plans, transactions and registrations as JSON. Fields are only ever added.

Amounts are decimal digits of the token's smallest unit; prices those of the contract, for a
thousand tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...chain.money import Price
from ...chain.networks import Network
from ...errors import PlatformlessError
from ...protocol.digests import Address
from .carrying_out import Prepared, Sent
from .costs import Cost
from .status import ChainStatus, HostStatus
from .steps import Step


def change_json(
    network: Network,
    account: Address,
    outcome: str,
    prepared: Prepared | None,
    sent: Sequence[Sent],
    error: PlatformlessError | None,
) -> dict[str, Any]:
    """What was or would be sent on one chain."""
    done = {one.step.name: one for one in sent}
    steps = [] if prepared is None else zip(prepared.plan.steps, prepared.costs, strict=True)
    return {
        "chain_id": network.chain_id,
        "host": str(account),
        "outcome": outcome,
        "warnings": [] if prepared is None else list(prepared.plan.warnings),
        "steps": [_step(step, cost, done.get(step.name)) for step, cost in steps],
        "error": None if error is None else error.to_json(),
    }


def status_json(
    network: Network,
    account: Address,
    outcome: str,
    status: ChainStatus | None,
    error: PlatformlessError | None,
) -> dict[str, Any]:
    """What is registered on one chain; `registered` is null where it could not be asked."""
    host = None if status is None else status.host
    return {
        "chain_id": network.chain_id,
        "host": str(account),
        "outcome": outcome,
        "registered": None if status is None else host is not None,
        "registration": None if host is None else _host(host),
        "error": None if error is None else error.to_json(),
    }


def _host(host: HostStatus) -> dict[str, Any]:
    return {
        "name": host.name,
        "api_url": host.api_url,
        "active": host.is_active,
        "stake": str(host.stake.units),
        "required_stake": str(host.required_stake.units),
        "public_key": host.public_key,
        "metadata": host.metadata,
        "models": [
            {
                "id": str(model.id),
                "name": model.name,
                "approved": model.is_approved,
                "price_usdc": _price(model.usdc),
                "price_eth": _price(model.eth),
            }
            for model in host.models
        ],
        "problems": list(host.problems),
    }


def _step(step: Step, cost: Cost, sent: Sent | None) -> dict[str, Any]:
    confirmed = None if sent is None else sent.confirmed
    return {
        "step": step.kind,
        "text": step.text,
        "call": step.call.description,
        "gas": cost.gas,
        "gas_measured": cost.is_measured,
        "expected_fee_wei": str(cost.expected.units),
        "most_fee_wei": str(cost.most.units),
        "transaction": None if confirmed is None else confirmed.to_json(),
    }


def _price(price: Price | None) -> str | None:
    return None if price is None else str(price.per_thousand_tokens)
