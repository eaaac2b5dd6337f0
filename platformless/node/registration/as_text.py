"""Plans, transactions and registrations as lines for a person. Nothing is cut or folded: programs
such as grep read them too. Texts of the chain are as their host wrote them: not yet harmless."""

from __future__ import annotations

from collections.abc import Sequence

from ...chain.money import Price
from .asked import price_text
from .carrying_out import Prepared, Sent
from .costs import Cost, total
from .status import NO_KEY, OTHER_KEY, OWN_KEY, ChainStatus, HostStatus, ModelStatus
from .steps import Step

_KEYS = {OWN_KEY: "this host's", OTHER_KEY: "another account's", NO_KEY: "none"}


def plan_lines(prepared: Prepared) -> list[str]:
    """What would be sent, what it costs, and what to consider."""
    found, plan = prepared.found, prepared.plan
    lines = [f"chain {found.network.chain_id}, host {found.account}"]
    lines += [f"  warning: {warning}" for warning in plan.warnings]
    if not plan.steps:
        return [*lines, "  nothing to send: the registration is as asked"]
    lines += [
        f"  {number}. {_step_line(step, cost)}"
        for number, (step, cost) in enumerate(zip(plan.steps, prepared.costs, strict=True), 1)
    ]
    expected = total([cost.expected for cost in prepared.costs])
    most = total([cost.most for cost in prepared.costs])
    lines.append(f"  fees: about {expected}, at most {most}; the account has {found.eth}")
    return lines


def sent_lines(sent: Sequence[Sent]) -> list[str]:
    """What was sent, and what it cost."""
    lines = [
        f"  {one.step.kind}: transaction {one.confirmed.transaction_hash} "
        f"in block {one.confirmed.block_number:,}, fee {one.confirmed.fee}"
        for one in sent
    ]
    return [*lines, f"  fees: {total([one.confirmed.fee for one in sent])}"] if sent else []


def status_lines(status: ChainStatus) -> list[str]:
    """A registration; the first four lines are those of the deployment guide."""
    host = status.host
    if host is None:
        return [f"❌ Node not registered on chain {status.chain_id}", f"Host: {status.account}"]
    return [
        f"✅ Node registered on chain {status.chain_id}",
        f"Name: {host.name or '-'}",
        f"API URL: {host.api_url}",
        f"Models: [{', '.join(str(model.id) for model in host.models)}]",
        f"Host: {status.account}",
        f"Active: {'yes' if host.is_active else 'no'}",
        f"Stake: {host.stake} (required: {host.required_stake})",
        f"Public key: {_KEYS[host.public_key]}",
        *(_model_line(model) for model in host.models),
        *_problem_lines(host),
    ]


def _step_line(step: Step, cost: Cost) -> str:
    about = "" if cost.is_measured else "about "
    return f"{step.text} ({about}{cost.gas:,} gas, {cost.expected})"


def _model_line(model: ModelStatus) -> str:
    approved = "approved" if model.is_approved else "not approved"
    prices = " and ".join(price_text(price) for price in _prices(model))
    per_million = f"{prices} per million tokens" if prices else "no price"
    return f"Model {model.name}: {approved}, {per_million}"


def _prices(model: ModelStatus) -> list[Price]:
    return [price for price in (model.usdc, model.eth) if price is not None]


def _problem_lines(host: HostStatus) -> list[str]:
    return [f"Warning: {problem}" for problem in host.problems]
