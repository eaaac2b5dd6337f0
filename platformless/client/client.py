"""The client: finds hosts, opens sessions, takes them up again."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from ..chain.connection import Chain
from ..chain.host_metadata import key_in_metadata
from ..chain.marketplace import Marketplace
from ..chain.money import Amount, Token
from ..chain.networks import Network
from ..chain.sending.settings import SenderSettings
from ..chain.session import DEFAULT_PROOF_INTERVAL, SessionTermsOffer
from ..closing import AsyncClosing
from ..files import write_atomically
from ..protocol.digests import Address, ModelId, WeightsRoot
from ..protocol.secrecy import PublicKeyBytes
from ..protocol.seed import SeedPart
from ..protocol.transcript import Tokens
from .connection import ConnectionLimits
from .errors import NoHost, NotYourSession, SavedStateBroken
from .hosts import HostDirectory, HostOffer
from .opening import open_on_chain
from .saved import SavedSession, saved_path
from .session import ClientSession
from .verifying import Agreed, VerifiedTranscript
from .wallet import Wallet
from .web import HostWeb

_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Who the client is, and where."""

    network: Network
    private_key: bytes = field(repr=False)
    """Of the wallet, 32 bytes."""
    folder: Path
    """Keeps the outbox, and every session whenever it changes: conversations, in the clear."""
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    sending: SenderSettings = field(default_factory=SenderSettings)


class Client(AsyncClosing):
    """A client of the marketplace. Use as an asynchronous context manager, and close its sessions
    before it."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.wallet = Wallet(settings.private_key)
        self.chain = Chain(settings.network)
        self._hosts = HostDirectory(self.chain)
        self._opening = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
        await self.chain.close()

    async def hosts(self, model_id: ModelId, token: Token) -> list[HostOffer]:
        """The active hosts that serve a model for a token, the cheapest first."""
        return await self._hosts.offers(model_id, token)

    async def open(
        self,
        model_id: ModelId,
        deposit: Amount,
        *,
        host: Address | None = None,
        key: str | None = None,
        longest_seconds: int = 3600,
        proof_interval: Tokens = DEFAULT_PROOF_INTERVAL,
        proof_timeout_seconds: int = 300,
        weights_root: WeightsRoot | None = None,
    ) -> ClientSession:
        """Opens a session on chain, paid from the wallet, at the host's price.

        Args:
            host: None: the cheapest.
            key: Names this opening. After a crash, the same call with the same key does not pay
                again; name the host as well then, as the cheapest may be another one.
            proof_interval: The first tokens that the host claims are at least so many.
            weights_root: The weights that the host must commit to; None: any.

        Raises:
            NoHost, HostKeyForeign, HostUnreachable: nothing was paid.
            ChainError, OpeningUnclear: see `opening.open_on_chain`.
        """
        if host is not None:
            chosen = await self._hosts.offer(host, model_id, deposit.token)
        else:
            offers = await self.hosts(model_id, deposit.token)
            if not offers:
                raise NoHost(
                    "no host offers this", expected=f"model {model_id}, paid in {deposit.token}"
                )
            chosen = offers[0]
        if chosen.public_key is None:  # asked before anything is paid
            await self._web(chosen.api_url).host_key(chosen.address)
        offer = SessionTermsOffer(
            host=chosen.address,
            model_id=model_id,
            deposit=deposit,
            price=chosen.price,
            longest_seconds=longest_seconds,
            proof_interval=proof_interval,
            proof_timeout_seconds=proof_timeout_seconds,
        )
        async with self._opening:
            session_id = await open_on_chain(
                self.chain,
                self.wallet,
                offer,
                outbox_path=self._folder() / "outbox.db",
                key=key or uuid.uuid4().hex,
                settings=self.settings.sending,
            )
        return await self.resume(session_id, weights_root=weights_root)

    async def resume(
        self,
        session_id: int,
        saved: SavedSession | None = None,
        *,
        weights_root: WeightsRoot | None = None,
    ) -> ClientSession:
        """A session that is on chain already.

        Args:
            saved: None: as the client's folder has it; if that has none, the session begins.
            weights_root: As in `open`, for a session that begins.

        Raises:
            NotYourSession: when another account opened it, or it was saved by another client.
            SavedStateBroken: when it was saved for another session.
            NoHost, HostKeyForeign, HostUnreachable, UnknownSession, RpcError
        """
        path = saved_path(self._folder(), session_id)
        if saved is None and path.exists():
            saved = SavedSession.decode(path.read_bytes())
        agreed = await self._agreed(session_id)
        host = await self._hosts.host(agreed.host)
        if saved is None:
            key = key_in_metadata(host.metadata, agreed.host) or await self._web(
                host.api_url
            ).host_key(agreed.host)
            saved = _begun(replace(agreed, weights_root=weights_root), key)
            write_atomically(path, saved.encode(), mode=_PRIVATE)
        else:
            expected = replace(agreed, weights_root=saved.transcript.agreed.weights_root)
            if saved.transcript.agreed != expected:
                raise SavedStateBroken(
                    "saved for another session", expected=expected, got=saved.transcript.agreed
                )
        return ClientSession(
            saved,
            self.wallet,
            host.api_url,
            self._web_session(),
            limits=self.settings.limits,
            keep=lambda changed: write_atomically(path, changed.encode(), mode=_PRIVATE),
        )

    async def _agreed(self, session_id: int) -> Agreed:
        """What the chain says of a session."""
        marketplace = Marketplace(self.chain)
        session = await marketplace.session(session_id)
        if session.client != self.wallet.address:
            raise NotYourSession(
                f"session {session_id} is another account's",
                expected=self.wallet.address,
                got=session.client,
            )
        network = self.settings.network
        return Agreed(
            chain_id=network.chain_id,
            marketplace=network.marketplace,
            session_id=session_id,
            host=session.host,
            client=session.client,
            model_id=await marketplace.model_of(session_id),
            price=session.price.per_thousand_tokens,
        )

    def _folder(self) -> Path:
        self.settings.folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        return self.settings.folder

    def _web(self, api_url: str) -> HostWeb:
        return HostWeb(self._web_session(), api_url, seconds=self.settings.limits.open_seconds)

    def _web_session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(auto_decompress=False)
        return self._http


def _begun(agreed: Agreed, host_key: PublicKeyBytes) -> SavedSession:
    """A session before its first prompt."""
    part = SeedPart(os.urandom(SeedPart.LENGTH))
    return SavedSession(host_key, VerifiedTranscript(agreed, part))
