"""`fabstir-llm-node p2p` and `peers`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...chain.connection import Chain
from ...chain.networks import Network
from ...console import Output, facts, plain
from ...errors import PlatformlessError
from ...protocol.digests import ModelId
from ...protocol.errors import ProtocolError
from ...protocol.node_record import SignedNodeRecord
from ..logs import set_up_logging
from ..reading_settings import load_p2p_settings
from ..settings import P2PSettings
from ..supervisor.run import require_free
from .addresses import PeerAddress, parsed_list
from .checking import Wanted, believed, require_registered
from .errors import LibraryMissing, NobodyReached, NotOnChain, P2PError, P2PPortInUse, WrongModel
from .identity import kept_identity
from .naming import model_cid
from .ready import READY

if TYPE_CHECKING:
    from .finding import Sent


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeersRequest:
    """What is looked for. `bootstrap` empty: what the settings name."""

    model: ModelId
    bootstrap: tuple[PeerAddress, ...] = ()
    asks_chain: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """A node that the DHT names, and why it is not believed."""

    peer_id: str
    problem: str
    code: str | None = None
    """None when it sent no record."""


@dataclass(frozen=True, slots=True)
class PeersReport:
    """The nodes of a model, of which `asks_chain` says whether the chain confirms them."""

    model: ModelId
    asks_chain: bool
    nodes: tuple[SignedNodeRecord, ...]
    refused: tuple[Refused, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "model": str(self.model),
            "cid": model_cid(self.model),
            "confirmed_by_chain": self.asks_chain,
            "nodes": [json.loads(signed.encode()) for signed in self.nodes],
            "refused": [
                {"peer_id": one.peer_id, "code": one.code, "problem": one.problem}
                for one in self.refused
            ],
        }


def run_part(output: Output, env_file: Path) -> None:
    """Takes part in the DHT until SIGINT or SIGTERM.

    Raises:
        SettingsError, LibraryMissing, P2PPortInUse, AddressRefused, PeerKeyUnusable: when this
            cannot be started.
        TooMuchMemory, P2PError: when it cannot go on.
    """
    settings, _ = load_p2p_settings(env_file=env_file)
    set_up_logging(settings, "p2p")
    _require_library()
    from .service import Part, restrain

    part = Part(
        kept_identity(settings.data_folder),
        settings.data_folder,
        settings.p2p_host,
        settings.p2p_port,
        parsed_list(settings.p2p_bootstrap),
    )
    _require_port(settings)
    restrain()
    _run_trio(_take_part, part, output)


def show_peers(output: Output, env_file: Path, request: PeersRequest) -> None:
    """Prints the nodes of a model.

    Raises:
        SettingsError, LibraryMissing, AddressRefused, NobodyReached: when nobody can be asked.
        ChainError: when the chain is to be asked and does not answer.
    """
    settings, network = load_p2p_settings(env_file=env_file)
    set_up_logging(settings, "peers")
    bootstrap = request.bootstrap or parsed_list(settings.p2p_bootstrap)
    report = find_peers(network, request, bootstrap)
    if output.as_json:
        output.json("done", **report.to_json())
        return
    for signed in report.nodes:
        table = facts()
        for name, value in (
            ("host", signed.record.host),
            ("url", signed.record.api_url),
            ("peer", signed.record.peer_id),
        ):
            table.add_row(name, plain(value))
        output.console.print(table)
    for one in report.refused:
        output.errors.print(f"not believed: {plain(one.peer_id)}: {plain(one.problem)}")
    count = len(report.nodes)
    output.line(f"{count} node{'' if count == 1 else 's'} of {report.model}")


def find_peers(
    network: Network, request: PeersRequest, bootstrap: tuple[PeerAddress, ...]
) -> PeersReport:
    """The nodes that announce a model and are believed. Takes a minute and a half at most, if the
    chain answers.

    Raises:
        LibraryMissing, NobodyReached, ChainError
    """
    if not bootstrap:
        raise NobodyReached("no node is named that is asked first", expected="one multiaddress")
    _require_library()
    from .finding import look_for

    sent: tuple[Sent, ...] = _run_trio(look_for, request.model, bootstrap)
    return asyncio.run(_judged(network, request, sent))


def model_of(text: str) -> ModelId:
    """Raises:
    WrongModel: when the text is no model id.
    """
    try:
        return ModelId.from_hex(text.strip())
    except ProtocolError as error:
        raise WrongModel("no model id", expected="32 bytes in hex", got=repr(text[:80])) from error


async def _judged(network: Network, request: PeersRequest, sent: tuple[Sent, ...]) -> PeersReport:
    wanted = Wanted(network.chain_id, network.marketplace, request.model)
    nodes: list[SignedNodeRecord] = []
    refused: list[Refused] = []
    async with Chain(network) as chain:
        for one in sent:
            if one.record is None:
                refused.append(Refused(one.peer_id, one.problem))
                continue
            try:
                signed = believed(one.record, one.peer_id, wanted, time.time())
                if request.asks_chain:
                    await require_registered(chain, signed, request.model)
            except (ProtocolError, NotOnChain) as error:
                refused.append(Refused(one.peer_id, str(error), error.code))
            else:
                nodes.append(signed)
    return PeersReport(request.model, request.asks_chain, tuple(nodes), tuple(refused))


async def _take_part(part: Any, output: Output) -> None:
    import trio

    from .service import take_part

    stopping = trio.Event()

    def show(addresses: list[str]) -> None:
        if output.as_json:
            output.json("running", peer_id=part.identity.peer_id, addresses=addresses)
        else:
            output.console.print(f"{READY}: {', '.join(addresses)}")

    async def wait_for_signal() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                stopping.set()
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_signal)
        await take_part(part, stopping, show)
        nursery.cancel_scope.cancel()


def _run_trio(run: Any, *arguments: Any) -> Any:
    """Runs trio; what goes wrong in several tasks at once comes out as the first error with a
    code.

    Raises:
        P2PError: for what has none.
    """
    import trio

    try:
        return trio.run(run, *arguments)
    except PlatformlessError:
        raise
    except BaseExceptionGroup as group:
        interrupts, rest = group.split(KeyboardInterrupt)
        if interrupts and not rest:
            raise KeyboardInterrupt from None
        if coded := _first(group):
            raise coded from group
        log.exception("libp2p ended")
        raise P2PError("libp2p ended", got=repr(group)[:500]) from group
    except Exception as error:
        log.exception("libp2p ended")
        raise P2PError("libp2p ended", got=repr(error)[:500]) from error


def _first(group: BaseExceptionGroup[BaseException]) -> PlatformlessError | None:
    for error in group.exceptions:
        if isinstance(error, PlatformlessError):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := _first(error)):
            return found
    return None


def _require_library() -> None:
    if importlib.util.find_spec("libp2p") is None:
        raise LibraryMissing("libp2p is not installed")


def _require_port(settings: P2PSettings) -> None:
    """libp2p shares its port with whoever shares his: two processes would take turns.

    Raises:
        P2PPortInUse
    """
    from ..errors import PortInUse

    try:
        if settings.p2p_port:
            require_free(settings.p2p_host, settings.p2p_port)
    except PortInUse as error:
        raise P2PPortInUse(
            f"cannot listen on {settings.p2p_host}, port {settings.p2p_port}", got=error.got
        ) from error
