"""The ledger that an operator's settings name, also while its chain does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import sqlalchemy as sa

from ...chain.connection import Chain
from ...chain.errors import EndpointsUnavailable
from ...chain.networks import Network
from ...chain.rpc import RpcSettings
from ...console import Output
from ...prover.ledger.database import Database
from ...prover.ledger.job_tables import jobs
from ...prover.ledger.ledger import Ledger
from ...prover.ledger.tables import sessions
from ..backing import chain_tag, ledger_settings
from ..reading_settings import load_settings
from ..settings import NodeSettings
from .errors import ChainUnclear, NoLedgerHere

_PATIENCE = RpcSettings(request_seconds=2.0, patience_seconds=2.0)
_MOST_CHAINS = 100


@asynccontextmanager
async def operators_ledger(output: Output, env_file: Path) -> AsyncIterator[Ledger]:
    """The ledger of the node with these settings. That the chain did not answer goes to standard
    error.

    Raises:
        SettingsError, LedgerError, WrongChain
        NoLedgerHere: when no node has kept one in the folder.
        ChainUnclear: when the chain does not answer and the ledger holds not exactly one of its
            kind.
    """
    settings, network = load_settings(env_file=env_file)
    _require_ledger(settings)
    try:
        with _quiet():
            async with Chain(network, settings=_PATIENCE) as chain:
                tag = await chain_tag(chain)
    except EndpointsUnavailable as error:
        url = ledger_settings(settings, "").url
        known = await asyncio.to_thread(chains_of, url)
        tag = only_chain(known, network, error)
        output.errors.print(f"[yellow]the chain does not answer[/]: taken for {tag}")
    async with await Ledger.open(ledger_settings(settings, tag)) as ledger:
        yield ledger


def chains_of(url: str) -> list[str]:
    """The chains that a ledger holds something of, without reading every row. Blocks.

    Raises:
        LedgerUnavailable
    """
    database = Database.open(url)
    found: set[str] = set()
    try:
        with database.read() as connection:
            for column in (sessions.c.chain, jobs.c.chain):
                after = ""
                for _ in range(_MOST_CHAINS):
                    next_one = sa.select(sa.func.min(column)).where(column > after)
                    after = connection.execute(next_one).scalar() or ""
                    if not after:
                        break
                    found.add(after)
    finally:
        database.close()
    return sorted(found)


def only_chain(known: Sequence[str], network: Network, cause: EndpointsUnavailable) -> str:
    """The one chain that has the network's number and marketplace; its first block, by which an
    earlier dev chain differs, is what could not be asked for.

    Raises:
        ChainUnclear
    """
    start, end = f"{network.chain_id}:", f":{network.marketplace}".lower()
    possible = [tag for tag in known if tag.startswith(start) and tag.endswith(end)]
    if len(possible) == 1:
        return possible[0]
    raise ChainUnclear(
        f"the chain does not answer ({cause.code}), and the ledger does not tell which one it is",
        expected=f"one chain with number {network.chain_id} and marketplace {network.marketplace}",
        got=", ".join(possible or known) or "none",
    ) from cause


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning for each try: one line says that there was no answer."""
    log = logging.getLogger(Chain.__module__.rpartition(".")[0])
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _require_ledger(settings: NodeSettings) -> None:
    """Looking must not begin a ledger, with its key, in the wrong folder."""
    if settings.ledger_url or (settings.data_folder / "ledger.db").exists():
        return
    folder = settings.data_folder.absolute()
    raise NoLedgerHere(f"no ledger in {folder}", expected="the data folder of a node that has run")
