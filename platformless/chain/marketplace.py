"""Client of JobMarketplace: sessions, proofs, settlement, deposits.

Amounts carry their token; the function of the contract is chosen by whether it is the native coin.
"""

from __future__ import annotations

import asyncio

from ..protocol.digests import Address, ModelId, ProofHash
from ..protocol.errors import ValueOutOfRange
from ..protocol.transcript import Tokens
from .connection import Chain, ContractCall
from .contract import ContractClient
from .errors import ContractRefused, UnknownSession, UnreadableAnswer
from .model_registry import ModelRegistry
from .money import Amount, Token
from .proof_system import ProofSystem
from .refusals import NoSuchProof, ProofHashUsed
from .session import (
    MarketplaceRules,
    ProofRecord,
    ProofSubmission,
    Session,
    SessionTermsOffer,
    check_claim,
    check_completion,
    check_timeout,
    decode_session,
)

MOST_PROOFS = 20_000
"""A day of a proof every five seconds."""
_PROOFS_AT_ONCE = 8


class Marketplace(ContractClient):
    """The marketplace of a network."""

    CONTRACT = "JobMarketplace"

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, chain.network.marketplace)
        self._models = ModelRegistry(chain)
        self._proofs = ProofSystem(chain)

    # Reading

    async def session(self, session_id: int) -> Session:
        """Raises:
        UnknownSession: when no session has this id.
        """
        data = await self._read_bytes("sessionJobs", session_id)
        try:
            return decode_session(data, self.chain.network.token)
        except UnknownSession:
            raise UnknownSession(
                "no such session", expected="the id of a session", got=session_id
            ) from None

    async def model_of(self, session_id: int) -> ModelId:
        """The model a session is for."""
        return ModelId(await self._read("sessionModel", session_id))

    async def proof(self, session_id: int, index: int) -> ProofRecord:
        """A proof by its place in the session, from 0.

        Raises:
            NoSuchProof: past the last one.
        """
        proof_hash, tokens, at, accepted, delta_cid = await self._read(
            "getProofSubmission", session_id, index
        )
        return ProofRecord(ProofHash(proof_hash), Tokens(tokens), at, accepted, delta_cid)

    async def proofs(self, session_id: int, *, most: int = MOST_PROOFS) -> list[ProofRecord]:
        """Every proof of a session. The contract has no count: asks until it refuses, a few at
        once.

        Raises:
            UnreadableAnswer: when there are more than `most`: a node may never refuse.
        """
        found: list[ProofRecord] = []
        while len(found) <= most:
            asked = (self._proof_if_any(session_id, len(found) + n) for n in range(_PROOFS_AT_ONCE))
            for record in await asyncio.gather(*asked):
                if record is None:
                    return found
                found.append(record)
        raise UnreadableAnswer("proofs without end", expected=f"at most {most}", got=len(found))

    async def _proof_if_any(self, session_id: int, index: int) -> ProofRecord | None:
        try:
            return await self.proof(session_id, index)
        except NoSuchProof:
            return None

    async def rules(self) -> MarketplaceRules:
        return MarketplaceRules(
            minimum_claim=Tokens(await self._read("MIN_PROVEN_TOKENS")),
            dispute_window_seconds=await self._read("disputeWindow"),
            fee_basis_points=await self._read("feeBasisPoints"),
            early_end_tokens=Tokens(await self._read("minTokensFee")),
        )

    async def next_session_id(self) -> int:
        """The id that the next session will have; ids start at 1."""
        return int(await self._read("nextJobId"))

    async def is_paused(self) -> bool:
        return bool(await self._read("paused"))

    async def deposit_limits(self, token: Token) -> tuple[Amount, Amount]:
        """Smallest and largest deposit of a session."""
        if token.is_native:
            smallest = await self._read("MIN_DEPOSIT")
            return Amount(smallest, token), token.amount(1000)
        return (
            Amount(await self._read("tokenMinDeposits", token.address), token),
            Amount(await self._read("tokenMaxDeposits", token.address), token),
        )

    async def balance(self, account: Address, token: Token) -> Amount:
        """What the account has deposited and may withdraw."""
        return Amount(await self._read("getDepositBalance", account, token.address), token)

    async def locked(self, account: Address, token: Token) -> Amount:
        """What active sessions of the account hold."""
        if token.is_native:
            return Amount(await self._read("getLockedBalanceNative", account), token)
        return Amount(await self._read("getLockedBalanceToken", account, token.address), token)

    async def collected_fees(self, token: Token) -> Amount:
        """What the treasury may withdraw."""
        if token.is_native:
            return Amount(await self._read("accumulatedTreasuryNative"), token)
        return Amount(await self._read("accumulatedTreasuryTokens", token.address), token)

    async def is_delegate(self, client: Address, delegate: Address) -> bool:
        """Whether `delegate` may open sessions that `client` pays."""
        return bool(await self._read("isDelegateAuthorized", client, delegate))

    # Clients

    def open_session(self, offer: SessionTermsOffer) -> ContractCall:
        """Opens a session paid from the caller's wallet. A token must be approved first."""
        numbers = _numbers(offer)
        about = f"{offer.deposit} with {offer.host}"
        if offer.deposit.token.is_native:
            return self._write(
                "createSessionJobForModel",
                offer.host,
                offer.model_id,
                *numbers,
                value=offer.deposit.units,
                about=about,
            )
        return self._write(
            "createSessionJobForModelWithToken",
            offer.host,
            offer.model_id,
            offer.deposit.token.address,
            offer.deposit.units,
            *numbers,
            about=about,
        )

    def open_session_from_deposit(self, offer: SessionTermsOffer) -> ContractCall:
        """Opens a session paid from what the caller has deposited."""
        return self._write(
            "createSessionFromDepositForModel",
            offer.model_id,
            offer.host,
            offer.deposit.token.address,
            offer.deposit.units,
            *_numbers(offer),
            about=f"{offer.deposit} with {offer.host}",
        )

    def open_session_for(self, client: Address, offer: SessionTermsOffer) -> ContractCall:
        """Opens a session as a delegate of `client`, whose tokens pay; no native coin."""
        return self._write(
            "createSessionForModelAsDelegate",
            client,
            offer.model_id,
            offer.host,
            offer.deposit.token.address,
            offer.deposit.units,
            *_numbers(offer),
            about=f"{offer.deposit} of {client} with {offer.host}",
        )

    def deposit(self, amount: Amount) -> ContractCall:
        """Pays into the caller's balance. A token must be approved first."""
        if amount.token.is_native:
            return self._write("depositNative", value=amount.units, about=amount)
        return self._write("depositToken", amount.token.address, amount.units, about=amount)

    def withdraw(self, amount: Amount) -> ContractCall:
        """Pays out from the caller's balance."""
        if amount.token.is_native:
            return self._write("withdrawNative", amount.units, about=amount)
        return self._write("withdrawToken", amount.token.address, amount.units, about=amount)

    def allow_delegate(self, delegate: Address, allowed: bool) -> ContractCall:
        return self._write("authorizeDelegate", delegate, allowed, about=f"{delegate}, {allowed}")

    # Hosts, and both

    def submit_proof(self, submission: ProofSubmission) -> ContractCall:
        """Claims the tokens of a checkpoint."""
        return self._write(
            "submitProofOfWork",
            submission.session_id,
            submission.tokens,
            submission.proof_hash,
            submission.proof_cid,
            submission.delta_cid,
            about=f"session {submission.session_id}, {submission.tokens} tokens",
        )

    def complete(self, session_id: int, conversation_cid: str = "") -> ContractCall:
        """Ends a session and settles it. The host must wait for the dispute window."""
        return self._write(
            "completeSessionJob", session_id, conversation_cid, about=f"session {session_id}"
        )

    def time_out(self, session_id: int) -> ContractCall:
        """Ends a session that has timed out and settles it; anyone may."""
        return self._write("triggerSessionTimeout", session_id, about=f"session {session_id}")

    # The owner

    def pause(self) -> ContractCall:
        return self._write("pause")

    def unpause(self) -> ContractCall:
        return self._write("unpause")

    def set_early_end_tokens(self, tokens: Tokens) -> ContractCall:
        return self._write("setMinTokensFee", tokens, about=f"{tokens} tokens")

    def withdraw_fees(self, tokens: list[Token]) -> ContractCall:
        """Pays the collected fees to the treasury: the native coin and these tokens."""
        others = [token.address for token in tokens if not token.is_native]
        return self._write("withdrawAllTreasuryFees", others, about=", ".join(map(str, tokens)))

    # Why something was refused

    async def explain_submission(
        self, refusal: ContractRefused, submission: ProofSubmission, sender: Address
    ) -> ContractRefused:
        """The refusal of a submission, judged by the session's state, which is the same for every
        generation of the contract, whatever its texts say. Knows from when on to try again."""
        session = await self.session(submission.session_id)
        rules = await self.rules()
        head = await self.chain.head()
        rate = await self._models.rate_limit(await self.model_of(submission.session_id))
        found = check_claim(session, submission, sender, rules, rate, head.timestamp)
        if found is None and await self._proofs.is_used(submission.proof_hash):
            found = ProofHashUsed("by state", expected="a new hash", got=submission.proof_hash)
        return found or refusal

    async def explain_completion(
        self, refusal: ContractRefused, session_id: int, sender: Address
    ) -> ContractRefused:
        """As `explain_submission`, for `complete`."""
        session = await self.session(session_id)
        head = await self.chain.head()
        return check_completion(session, sender, await self.rules(), head.timestamp) or refusal

    async def explain_timeout(self, refusal: ContractRefused, session_id: int) -> ContractRefused:
        """As `explain_submission`, for `time_out`."""
        session = await self.session(session_id)
        head = await self.chain.head()
        return check_timeout(session, head.timestamp) or refusal


def _numbers(offer: SessionTermsOffer) -> tuple[int, ...]:
    if offer.price.token.address != offer.deposit.token.address:
        raise ValueOutOfRange(
            "price and deposit of different tokens",
            expected=offer.deposit.token,
            got=offer.price.token,
        )
    return (
        offer.price.per_thousand_tokens,
        offer.longest_seconds,
        offer.proof_interval,
        offer.proof_timeout_seconds,
    )
