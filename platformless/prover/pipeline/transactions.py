"""Sending a job's transaction: once, however often the step is killed and done again.

The sender's outbox knows each transaction by a key. The key names what is sent, so that the step
finds it again. A key whose transaction reverted is spent; the next attempt has a key of its own.
"""

from __future__ import annotations

import logging

from ...chain.connection import ContractCall
from ...chain.errors import TransactionReverted
from ...chain.sending.entry import Entry, State
from ...chain.sending.sender import Confirmed, TransactionSender
from ..ledger.job_states import JobState
from ..ledger.job_values import Lease, Submission
from .context import StepContext
from .errors import TransactionsSpent

log = logging.getLogger(__name__)
_MOST_KEYS = 64
"""A job fails long before; each time that it is tried again by hand takes keys of its own."""


async def send_once(
    context: StepContext,
    lease: Lease,
    sender: TransactionSender,
    key: str,
    call: ContractCall,
    *,
    first_stands: bool = False,
) -> Confirmed:
    """Sends a call, or goes on waiting for it, until it is final. The job is `submitted` as soon as
    the transaction is signed and in the outbox.

    Args:
        first_stands: Where the outbox has a call under the key, that one is sent or waited for,
            also when it differs: what it says was true when it was made, and serves as well.

    Raises:
        ContractRefused: the contract would revert, or did; nothing is under way.
        TransactionReverted: it did, and the node cannot tell why.
        TransactionsSpent: it has reverted too often.
        SenderError, RpcError: as `TransactionSender.send`; it may be under way.
    """
    for attempt in range(_MOST_KEYS):
        name = key if attempt == 0 else f"{key} again {attempt}"
        before = await sender.known(name) if first_stands else None
        entry = await sender.submit(name, call if before is None else before.call)
        if entry.state is State.REVERTED:
            continue
        if lease.job.state is not JobState.SUBMITTED:
            sent = Submission(transaction_hash=_newest_hash(entry))
            await context.jobs.move(lease, JobState.SUBMITTED, sent)
            log.info(
                "job %s: submitted as %s",
                lease.job.id,
                sent.transaction_hash,
                extra={"transaction": sent.transaction_hash},
            )
        try:
            return await sender.wait(name, confirm_seconds=context.rules.confirm_seconds)
        except TransactionReverted as error:
            raise error.refusal or error from error
    raise TransactionsSpent(
        f"{key} was mined and reverted each time", expected="success", got=f"{_MOST_KEYS} times"
    )


def _newest_hash(entry: Entry) -> str | None:
    """Of the version that is under way."""
    return entry.mined_hash or (entry.offers[-1].hash if entry.offers else None)
