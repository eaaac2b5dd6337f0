"""Opening a session on chain, so that it is paid once however often it is tried.

Needs the `node` extra: the transaction sender keeps its outbox in a database. Sessions that exist
already are used without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..chain.connection import Chain, ContractCall
from ..chain.events import session_opened_in
from ..chain.marketplace import Marketplace
from ..chain.sending.settings import SenderSettings
from ..chain.session import SessionTermsOffer
from ..chain.token import Erc20
from .errors import OpeningUnclear
from .wallet import Wallet


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction of an opening, with its key in the outbox."""

    key: str
    call: ContractCall


def steps_of(chain: Chain, offer: SessionTermsOffer, key: str) -> list[Step]:
    """What is to be sent, in order; the last step opens the session. A token's deposit is approved
    first, even where an approval is left over: each try must send the same."""
    opening = Step(f"{key}: open", Marketplace(chain).open_session(offer))
    token = offer.deposit.token
    if token.is_native:
        return [opening]
    approval = Erc20(chain, token).approve(chain.network.marketplace, offer.deposit)
    return [Step(f"{key}: approve", approval), opening]


async def open_on_chain(
    chain: Chain,
    wallet: Wallet,
    offer: SessionTermsOffer,
    *,
    outbox_path: Path,
    key: str,
    settings: SenderSettings | None = None,
) -> int:
    """Opens a session and returns its id. Tried again with the same key and offer, it goes on
    where it was, and gives the same session. One opening of a wallet at a time: approvals replace
    each other.

    Args:
        outbox_path: SQLite file that keeps what was sent.
        key: Names this opening in the outbox.

    Raises:
        ContractRefused: the marketplace does not take the offer; nothing was paid.
        SenderError, RpcError: as `TransactionSender.send`; try again with the key.
        OpeningUnclear: it is open, but the chain does not tell its id yet.
    """
    from ..chain.sending.sender import TransactionSender

    async with TransactionSender(chain, wallet.account, outbox_path, settings) as sender:
        for step in steps_of(chain, offer, key):
            confirmed = await sender.send(step.key, step.call)
    receipt = await chain.receipt(confirmed.transaction_hash)
    if receipt is None:
        raise OpeningUnclear(
            "the receipt of the opening is not there yet", got=confirmed.transaction_hash
        )
    try:
        return session_opened_in(receipt.logs)
    except LookupError as error:
        raise OpeningUnclear(
            "the transaction tells of no session", got=confirmed.transaction_hash
        ) from error
