"""What the processes of a host share: ledger, broker, storage; and which chain they are for."""

from __future__ import annotations

from pathlib import Path

from ..chain.connection import Chain
from ..chain.errors import WrongChain
from ..prover.broker import valkey
from ..prover.ledger.settings import LedgerSettings, ledger_key
from ..storage.client import ClientSettings, PortalClient
from ..storage.portals import Portals, PortalsSettings
from .errors import MissingSetting
from .redaction import SECRETS
from .settings import NodeSettings, WorkerSettings


def broker_url(settings: WorkerSettings) -> str:
    """Where the broker is: the embedded one of the data folder, when none is configured."""
    return settings.broker_url or valkey.broker_url(broker_folder(settings))


def broker_folder(settings: WorkerSettings) -> Path:
    """The embedded broker's."""
    return settings.data_folder.absolute() / "broker"


def ledger_settings(settings: WorkerSettings, chain_tag: str) -> LedgerSettings:
    """Where the ledger is; its key is made on first start.

    Raises:
        LedgerKeyRefused
    """
    folder = settings.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    given = settings.ledger_key.get_secret_value() or None
    url = settings.ledger_url or f"sqlite:///{(folder / 'ledger.db').resolve()}"
    key = ledger_key(folder, given)
    SECRETS.hide_key(key)
    return LedgerSettings(url, key, chain_tag)


async def chain_tag(chain: Chain) -> str:
    """Tells this chain and marketplace from others, also from an earlier dev chain.

    Raises:
        WrongChain: when the chain has no block 0.
    """
    genesis = await chain.block(0)
    if genesis is None:
        raise WrongChain("the chain has no block 0", expected=f"chain {chain.network.chain_id}")
    return f"{chain.network.chain_id}:{genesis.hash}:{chain.network.marketplace}".lower()


def publication_folder(settings: WorkerSettings) -> Path:
    """Where checkpoints are prepared before they are published."""
    return settings.data_folder / "publication"


def portals_of(settings: NodeSettings) -> Portals:
    """The configured portals. What is stored there is read back.

    Raises:
        MissingSetting: when there is none.
    """
    urls = [url.strip() for url in settings.s5_portal_url.split(",") if url.strip()]
    if not urls:
        raise MissingSetting(
            "S5_PORTAL_URL is not set", expected="a portal that node and worker share"
        )
    token = settings.s5_portal_token.get_secret_value() or None
    clients = [PortalClient(ClientSettings(url, token=token)) for url in urls]
    return Portals(clients, PortalsSettings(read_back=True))
