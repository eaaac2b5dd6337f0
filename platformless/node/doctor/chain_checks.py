"""RPC endpoints, contracts, and the clock that both are compared with."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

from ...chain.marketplace import Marketplace
from ...protocol.digests import Address
from .endpoints import Answered, Endpoint
from .finding import Finding, error, ok, warning
from .shared import Subject

_SLOW_SECONDS = 1.0
_OLD_HEAD_SECONDS = 60.0
_APART_BLOCKS = 20
_SKEW_WARNING_SECONDS, _SKEW_ERROR_SECONDS = 5.0, 60.0


async def check_rpc(subject: Subject) -> list[Finding]:
    """Every endpoint by itself, then all of them together."""
    endpoints = await subject.endpoints()
    chain_id = subject.network.chain_id
    findings = [_endpoint(endpoint, chain_id) for endpoint in endpoints]
    right = [
        (endpoint, endpoint.answered)
        for endpoint in endpoints
        if endpoint.answered and endpoint.answered.chain_id == chain_id
    ]
    if right:
        # One endpoint is enough to run: the others are then only less than was wanted.
        findings = [
            warning(finding.name, finding.says, finding.advice)
            if finding.level.value == "error"
            else finding
            for finding in findings
        ]
        findings += _together(right)
    return findings


def _endpoint(endpoint: Endpoint, chain_id: int) -> Finding:
    answered = endpoint.answered
    if answered is None:
        advice = "check RPC_URL and the way to it, or name another endpoint"
        return error("rpc", f"{endpoint.shown} does not answer: {endpoint.problem}", advice)
    if answered.chain_id != chain_id:
        says = f"{endpoint.shown} serves chain {answered.chain_id}, expected {chain_id}"
        return error("rpc", says, "set RPC_URL and CHAIN_ID of one chain")
    age = answered.asked_at - answered.head_time
    says = (
        f"{endpoint.shown} answers in {answered.latency_seconds * 1000:.0f} ms, chain {chain_id}, "
        f"block {answered.head:,}, {age:.0f} s old"
    )
    if age > _OLD_HEAD_SECONDS:
        return warning("rpc", says, "it lags, or this clock is ahead: name another endpoint first")
    if answered.latency_seconds > _SLOW_SECONDS:
        return warning("rpc", says, "it is slow: name a nearer endpoint first")
    return ok("rpc", says)


def _together(right: Sequence[tuple[Endpoint, Answered]]) -> list[Finding]:
    """Whether endpoints tell the same: several heights are usual, several chains are not."""
    heads = {endpoint.shown: answered.head for endpoint, answered in right}
    lowest, highest = min(heads.values()), max(heads.values())
    told = ", ".join(f"{name} at {head:,}" for name, head in heads.items())
    if highest - lowest > _APART_BLOCKS:
        advice = "leave out the one that lags"
        return [warning("rpc", f"endpoints are {highest - lowest} blocks apart: {told}", advice)]
    by_height: dict[int, set[str]] = {}
    for _, answered in right:
        by_height.setdefault(answered.head, set()).add(answered.head_hash)
    if any(len(hashes) > 1 for hashes in by_height.values()):
        advice = "use one endpoint; ask again, as a chain may have two tips for a moment"
        return [warning("rpc", f"endpoints have different blocks of one number: {told}", advice)]
    if len({answered.head_hash for _, answered in right}) == 1 and len(right) > 1:
        return [ok("rpc", f"{len(right)} endpoints agree on the newest block")]
    return []


async def check_contracts(subject: Subject) -> list[Finding]:
    """Whether there is code at the addresses, and whether the marketplace is open."""
    chain, network = await subject.chain(), subject.network
    addresses = {
        "JobMarketplace": network.marketplace,
        "NodeRegistry": network.node_registry,
        "ModelRegistry": network.model_registry,
        "ProofSystem": network.proof_system,
        "HostEarnings": network.host_earnings,
        "FAB": network.fab.address,
        "USDC": network.usdc.address,
    }

    async def has_code(address: Address) -> bool:
        return str(await chain.command("eth_getCode", str(address), "latest")) not in ("", "0x")

    there = await asyncio.gather(*map(has_code, addresses.values()))
    missing = [
        error(
            "contracts",
            f"no contract at {name}'s address {address} on chain {network.chain_id}",
            "correct the address, or RPC_URL and CHAIN_ID: both must be of one deployment",
        )
        for (name, address), is_there in zip(addresses.items(), there, strict=True)
        if not is_there
    ]
    if missing:
        return missing
    if await Marketplace(chain).is_paused():
        advice = "wait: no session can be opened, and no proof submitted, until it is unpaused"
        return [warning("contracts", "the marketplace is paused", advice)]
    return [ok("contracts", f"{len(addresses)} contracts are there")]


async def check_clock(subject: Subject) -> list[Finding]:
    """This machine's clock against the endpoints' and the chain's. Contracts and sessions count in
    the chain's time."""
    answers = [end.answered for end in await subject.endpoints() if end.answered]
    if not answers:
        return [warning("clock", "no endpoint answers: nothing to compare with", "correct RPC_URL")]
    ahead, by = clock_skew(answers)
    says = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} {by}"
    if abs(ahead) > _SKEW_ERROR_SECONDS:
        return [error("clock", says, "have the clock set: timedatectl set-ntp true")]
    if abs(ahead) > _SKEW_WARNING_SECONDS:
        return [warning("clock", says, "have the clock kept right: timedatectl set-ntp true")]
    return [ok("clock", f"within {_SKEW_WARNING_SECONDS:.0f} s of {by}")]


def clock_skew(answers: Sequence[Answered]) -> tuple[float, str]:
    """Seconds by which this machine's clock is ahead, and of what.

    A `Date` tells it to a second. A block is never from the future, so a head that is shows a
    clock that is behind, even where there is no `Date` or the endpoints' clocks are wrong too. A
    head that is old shows something only where nothing else does: the endpoint may lag.
    """
    by_date = [answer.asked_at - answer.date for answer in answers if answer.date is not None]
    youngest = min(answer.asked_at - answer.head_time for answer in answers)
    if by_date:
        ahead = statistics.median(by_date)
        if youngest < min(ahead, -_SKEW_WARNING_SECONDS):
            return youngest, "the chain's newest block"
        return ahead, "the RPC endpoints' clocks"
    return youngest, "the chain's newest block"
