"""Session authority: whether the chain says that this host may serve a session, and be paid."""

from __future__ import annotations

from dataclasses import dataclass

from ...chain.connection import Chain
from ...chain.errors import UnknownSession
from ...chain.marketplace import Marketplace
from ...chain.model_registry import ModelRegistry
from ...chain.session import MarketplaceRules, Session, SessionStatus
from ...protocol.digests import Address, ModelId, WeightsRoot, keccak256
from ...protocol.terms import SessionTerms
from ..errors import (
    DepositUsedUp,
    ForeignHost,
    JobNotActive,
    JobNotFound,
    JobTimedOut,
    ModelNotServed,
)
from .metering import ClaimRules


def require_model_named(name: str, model_id: ModelId) -> None:
    """Whether what a client calls a model is the session's: its id in hex, or `repository:file`.
    Short names say too little to be wrong.

    Raises:
        ModelNotServed: when it is another model's name.
    """
    repository, colon, file_name = name.partition(":")
    if name[:2] in ("0x", "0X"):
        named = name.lower() == str(model_id)
    elif colon and "/" in repository:
        named = keccak256(f"{repository}/{file_name}".encode()) == model_id.value
    else:
        named = True
    if not named:
        raise ModelNotServed("the session is for another model", expected=model_id, got=name[:200])


@dataclass(frozen=True, slots=True)
class AdmittedSession:
    """A session that this host may serve."""

    chain_id: int
    marketplace: Address
    session: Session
    model_id: ModelId
    rules: MarketplaceRules
    tokens_per_second: int
    """How fast the chain lets this model's tokens be claimed."""

    def terms(self, weights_root: WeightsRoot) -> SessionTerms:
        """What the session's header and claims say in public."""
        return SessionTerms(
            chain_id=self.chain_id,
            marketplace=self.marketplace,
            session_id=self.session.id,
            host=self.session.host,
            client=self.session.client,
            model_id=self.model_id,
            weights_root=weights_root,
            price=self.session.price.per_thousand_tokens,
        )

    def claim_rules(self) -> ClaimRules:
        return ClaimRules(
            minimum_claim=self.rules.minimum_claim,
            proof_interval=self.session.proof_interval,
            affordable=self.session.price.affordable(self.session.deposit),
            due_at=self.session.times_out_at,
        )


class SessionAuthority:
    """Asks the chain about sessions.

    Args:
        models: The models that this host serves, by their ids on chain.
    """

    def __init__(self, chain: Chain, host: Address, models: frozenset[ModelId]) -> None:
        self._chain = chain
        self._host = host
        self._models = models
        self._marketplace = Marketplace(chain)
        self._registry = ModelRegistry(chain)

    async def admit(self, session_id: int, *, timed_out_too: bool = False) -> AdmittedSession:
        """Reads a session and decides.

        Args:
            timed_out_too: Also one that anyone may end at any moment: until somebody does, the
                contract takes claims.

        Raises:
            JobNotFound, JobNotActive, ForeignHost, JobTimedOut, ModelNotServed, DepositUsedUp: why
                not.
            RpcError: when the chain cannot be asked.
        """
        try:
            session = await self._marketplace.session(session_id)
        except UnknownSession as error:
            raise JobNotFound(
                "no such job on chain", expected="the id of a job", got=session_id
            ) from error
        if session.status is not SessionStatus.ACTIVE:
            raise JobNotActive(
                f"job {session_id} is over", expected="active", got=session.status.name.lower()
            )
        if session.host != self._host:
            raise ForeignHost(
                f"job {session_id} is another host's", expected=self._host, got=session.host
            )
        now = (await self._chain.head()).timestamp
        if now > session.times_out_at and not timed_out_too:
            raise JobTimedOut(
                f"job {session_id} has timed out",
                expected=f"before {session.times_out_at}",
                got=now,
            )
        model_id = await self._marketplace.model_of(session_id)
        if model_id not in self._models:
            raise ModelNotServed(
                f"job {session_id} is for a model that is not served here",
                expected=" or ".join(map(str, sorted(self._models, key=str))),
                got=model_id,
            )
        if session.tokens_left == 0:
            raise DepositUsedUp(
                f"the deposit of job {session_id} is used up",
                expected="tokens left",
                got=f"{session.tokens_proven} tokens proven",
            )
        rules = await self._marketplace.rules()
        rate = await self._registry.rate_limit(model_id)
        network = self._chain.network
        return AdmittedSession(
            network.chain_id, network.marketplace, session, model_id, rules, rate
        )
