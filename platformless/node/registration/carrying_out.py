"""Planning against a real chain, and sending what was planned.

`prepare` reads, plans and reckons; the operator looks at that; `carry_out` plans again and sends,
if it is still the same. Both first wait for what an earlier command left under way, so that
nothing is sent twice however often a command dies and is run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

from ...chain.connection import Chain
from ...chain.errors import (
    ContractRefused,
    InsufficientFunds,
    NotConfirmedYet,
    TransactionReverted,
)
from ...chain.networks import Network
from ...chain.node_registry import NodeRegistry
from ...chain.sending.sender import Confirmed, TransactionSender
from ...chain.token import Erc20
from ...locks import FileLock
from .chains import connected
from .costs import Cost, costs_of, refused, require_eth
from .errors import AlreadyRunning, NotEnoughEth, PlanChanged, StepUnderWay
from .facts import OnChain, read_chain, tokens_of
from .journal import Journal
from .operator import Operator
from .plan import Asked, Contracts
from .steps import ONCE, Plan, Step, price_step

CONFIRM_SECONDS = 600.0
"""A transaction that is not final by then is left to the next command, or to the node."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What would be sent."""

    found: OnChain
    plan: Plan
    costs: tuple[Cost, ...]
    """By step."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A step that is final."""

    step: Step
    confirmed: Confirmed


async def prepare(
    operator: Operator, network: Network, asked: Asked, *, dry_run: bool = False
) -> Prepared:
    """What is needed now. A dry run does not even go on with what an earlier command began.

    Raises:
        RegistrationError: also when the account cannot pay.
        ChainError
    """
    async with connected(network) as chain:
        with await Journal.open(operator, chain) as journal:
            open_keys = await _under_way(chain, operator, asked, journal)
            if open_keys and not dry_run:
                async with _sender(chain, operator) as sender:
                    await _wait(sender, open_keys)
            prepared = await _planned(chain, operator, asked, journal, bool(open_keys))
        if open_keys and dry_run:
            note = f"still under way, and not taken into account: {', '.join(open_keys)}"
            plan = replace(prepared.plan, warnings=(*prepared.plan.warnings, note))
            return replace(prepared, plan=plan)
        return prepared


async def carry_out(
    operator: Operator, network: Network, asked: Asked, expected: Plan
) -> tuple[Sent, ...]:
    """Sends what was planned, and waits until all of it is final.

    Raises:
        PlanChanged: nothing was sent.
        AlreadyRunning: nothing was sent.
        StepRefused, StepUnderWay, ChainError: what was sent before stays, and the same request
            goes on from there.
    """
    if not expected.steps:
        return ()
    async with connected(network) as chain:
        with _alone(operator, network):
            async with _sender(chain, operator) as sender:
                with await Journal.open(operator, chain) as journal:
                    open_keys = await _under_way(chain, operator, asked, journal)
                    await _wait(sender, open_keys)
                    now = await _planned(chain, operator, asked, journal, bool(open_keys))
                    if now.plan.content != expected.content:
                        raise PlanChanged(
                            "the chain is not as it was when this was planned",
                            expected=_names(expected) or "nothing to send",
                            got=_names(now.plan) or "nothing to send",
                        )
                    return await _send_all(sender, journal, now.plan)


async def do(operator: Operator, network: Network, asked: Asked) -> tuple[Sent, ...]:
    """Both, without asking anybody in between.

    Raises:
        RegistrationError, ChainError
    """
    prepared = await prepare(operator, network, asked)
    return await carry_out(operator, network, asked, prepared.plan)


async def _planned(
    chain: Chain, operator: Operator, asked: Asked, journal: Journal, was_under_way: bool
) -> Prepared:
    found = await read_chain(chain, operator.address, asked.model_ids)
    pairs = [(model, token.address) for model in found.models for token in found.tokens]
    contracts = Contracts(NodeRegistry(chain), Erc20(chain, chain.network.fab))
    earlier = replace(await journal.earlier(pairs), was_under_way=was_under_way)
    plan = asked.plan(found, earlier, contracts)
    costs = await costs_of(chain, operator.address, plan, operator.sending, len(asked.model_ids))
    require_eth(operator.address, found.eth, costs)
    return Prepared(found, plan, costs)


async def _under_way(chain: Chain, operator: Operator, asked: Asked, journal: Journal) -> list[str]:
    """Keys of what an earlier command sent and did not see the end of."""
    host = await NodeRegistry(chain).host(operator.address)
    models = dict.fromkeys([*asked.model_ids, *(host.models if host else ())])
    tokens = tokens_of(chain.network)
    prices = [price_step((model, token.address)) for model in models for token in tokens]
    return await journal.under_way([*ONCE, *prices])


async def _wait(sender: TransactionSender, keys: Sequence[str]) -> None:
    """Until all are over, however they end: what is on chain then says what is missing."""
    for key in keys:
        try:
            await sender.wait(key, confirm_seconds=CONFIRM_SECONDS)
        except (ContractRefused, TransactionReverted):
            continue
        except NotConfirmedYet as error:
            raise _still_under_way(error) from error


async def _send_all(sender: TransactionSender, journal: Journal, plan: Plan) -> tuple[Sent, ...]:
    done: list[Sent] = []
    for _, stage in groupby(plan.steps, key=lambda step: step.stage):
        steps = list(stage)
        keys = []
        for step in steps:
            key = await journal.next_key(step.name)
            with _told(step, len(done)):
                await sender.submit(key, step.call)
            keys.append(key)
        for step, key in zip(steps, keys, strict=True):
            with _told(step, len(done)):
                done.append(Sent(step, await sender.wait(key, confirm_seconds=CONFIRM_SECONDS)))
    return tuple(done)


@contextmanager
def _told(step: Step, done: int) -> Iterator[None]:
    """Errors of sending as those of a registration."""
    try:
        yield
    except ContractRefused as refusal:
        raise refused(step, refusal, done) from refusal
    except TransactionReverted as error:
        reason = error.refusal or ContractRefused(str(error.got))
        raise refused(step, reason, done) from error
    except InsufficientFunds as error:
        raise NotEnoughEth(error.message, expected=error.expected, got=error.got) from error
    except NotConfirmedYet as error:
        raise _still_under_way(error) from error


@contextmanager
def _alone(operator: Operator, network: Network) -> Iterator[None]:
    """Keeps other commands of this account away while this one plans and sends.

    Raises:
        AlreadyRunning
    """
    folder = operator.outbox.parent
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"registration.{network.chain_id}.{operator.address.value.hex()}.lock")
    if not lock.take():
        raise AlreadyRunning(f"another command changes the registration of {operator.address}")
    try:
        yield
    finally:
        lock.release()


def _sender(chain: Chain, operator: Operator) -> TransactionSender:
    return TransactionSender(chain, operator.key, operator.outbox, operator.sending)


def _still_under_way(error: NotConfirmedYet) -> StepUnderWay:
    return StepUnderWay(error.message, expected=error.expected, got=error.got)


def _names(plan: Plan) -> str:
    return ", ".join(step.kind for step in plan.steps)
