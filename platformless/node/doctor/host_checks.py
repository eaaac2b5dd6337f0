"""The host on chain: money for gas, stake, registration, prices."""

from __future__ import annotations

import asyncio

from ...chain.host_metadata import named_key, owner
from ...chain.money import NATIVE, Amount, Price, Token
from ...chain.node_registry import Host, NodeRegistry
from ...chain.refusals import PriceRefused
from ...chain.token import Erc20
from ...errors import PlatformlessError
from ...protocol.digests import ModelId
from .finding import Finding, error, ok, warning
from .reading_settings import key_source
from .shared import Subject

SUBMISSION_GAS = 400_000
"""What submitting a proof takes at most: a test measures it on our contracts. What a rollup takes
for its data comes on top."""
_FEW_SUBMISSIONS, _ENOUGH_SUBMISSIONS = 10, 1000
_REGISTER = "register with `fabstir-llm-node register-node`"
_UPDATE = "`fabstir-llm-node update-registration`"


async def check_host_key(subject: Subject) -> list[Finding]:
    """Whether the host's key can be had, and whose it is."""
    if not subject.found.has_key:
        return []  # said with the settings
    try:
        host = await subject.host()
    except PlatformlessError as problem:
        advice = problem.advice or "correct the file, or the variable that names it"
        return [error("host-key", str(problem), advice)]
    return [ok("host-key", f"host {host}, from {key_source(subject.settings)}")]


async def check_gas(subject: Subject) -> list[Finding]:
    """For how many submissions the balance lasts at the current gas price."""
    chain, host = await subject.chain(), await subject.host()
    wei, prices = await asyncio.gather(chain.balance(host), chain.gas_prices())
    each = SUBMISSION_GAS * max(1, prices.base_fee + prices.priority_fee)
    submissions = wei // each
    says = (
        f"{Amount(wei, NATIVE)} of {host} pays for {submissions:,} submissions "
        f"at {Amount(each, NATIVE)} each"
    )
    wanted = Amount(_ENOUGH_SUBMISSIONS * each, NATIVE)
    advice = f"send ETH to the host's account: {wanted} pays for {_ENOUGH_SUBMISSIONS:,}"
    if submissions < _FEW_SUBMISSIONS:
        return [error("gas", says, advice)]
    if submissions < _ENOUGH_SUBMISSIONS:
        return [warning("gas", says, advice)]
    return [ok("gas", says)]


async def check_stake(subject: Subject) -> list[Finding]:
    """What is staked; before the registration, whether the account could."""
    chain, account = await subject.chain(), await subject.host()
    host, required = await asyncio.gather(
        subject.registered(), NodeRegistry(chain).required_stake()
    )
    if host is not None:
        if host.stake < required:
            says = f"{host.stake} are staked, registering takes {required}: a part was slashed"
            return [warning("stake", says, "find out why, then add to the stake")]
        return [ok("stake", f"{host.stake} are staked, {required} required")]
    balance = await Erc20(chain, subject.network.fab).balance(account)
    says = f"{balance} in the account, registering takes {required}"
    if balance < required:
        return [error("stake", says, f"send FAB to {account}")]
    return [ok("stake", says)]


async def check_registration(subject: Subject) -> list[Finding]:
    """What clients read of this host in the registry."""
    host, account = await subject.registered(), await subject.host()
    if host is None:
        return [error("registration", f"{account} is not registered", _REGISTER)]
    if not host.active:
        advice = "no client finds it: unregister, then register again"
        return [error("registration", f"{account} is registered, but not active", advice)]
    return [_address(subject, host), _public_key(host), *await _prices(subject, host)]


def _address(subject: Subject, host: Host) -> Finding:
    public = subject.settings.public_url
    says = f"registered as {host.api_url or 'no address at all'}"
    if not public:
        advice = "set PUBLIC_URL to the address at which clients reach this node"
        return warning("registration", f"{says}; PUBLIC_URL is not set", advice)
    if public.rstrip("/").lower() != host.api_url.rstrip("/").lower():
        advice = f"{_UPDATE}, or correct PUBLIC_URL: clients go where the registry says"
        return error("registration", f"{says}, while PUBLIC_URL is {public}", advice)
    return ok("registration", f"active, {says}")


def _public_key(host: Host) -> Finding:
    key = named_key(host.metadata)
    advice = f"{_UPDATE} writes it"
    if key is None:
        says = "no publicKey in the metadata: clients must ask the node for it first"
        return warning("registration", says, advice)
    if owner(key) != host.address:
        says = "the publicKey in the metadata is not the host's: clients cannot be read"
        return error("registration", says, advice)
    return ok("registration", "the publicKey in the metadata is the host's")


async def _prices(subject: Subject, host: Host) -> list[Finding]:
    """What each model costs. Sessions need a price for their model in their token."""
    if not host.models:
        return [error("prices", "the registration lists no model", _UPDATE)]
    registry = NodeRegistry(await subject.chain())
    tokens = (subject.network.usdc, NATIVE)
    known = {model.file.id: model.file.file_name for model in await subject.models()}

    async def price(model_id: ModelId, token: Token) -> Price | None:
        try:
            return await registry.price(host.address, model_id, token)
        except PriceRefused:
            return None

    async def of_model(model_id: ModelId) -> Finding:
        found = await asyncio.gather(*(price(model_id, token) for token in tokens))
        told = ", ".join(str(one) for one in found if one is not None)
        name = known.get(model_id, str(model_id))
        advice = f"set one: {_UPDATE}"
        if not told:
            return error("prices", f"{name} has no price: no session can be opened for it", advice)
        lacking = [str(token) for token, one in zip(tokens, found, strict=True) if one is None]
        if lacking:
            says = f"{name}: {told}; none in {', '.join(lacking)}"
            return warning("prices", says, "set one, if clients shall pay in that token")
        return ok("prices", f"{name}: {told}")

    return list(await asyncio.gather(*map(of_model, host.models)))
