"""The stage of the attacks: a real chain and a real portal, and a host that may do what it likes.

Every test begins where the chain has a registered host and no session, by a snapshot. The honest
session is the recorded one (`make_recovery`): two checkpoints with real proofs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from platformless.audit.session.audit import audit_session
from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.report import AuditReport
from platformless.chain.connection import Chain
from platformless.chain.money import Price
from platformless.chain.rpc import RpcSettings
from platformless.chain.session import ProofSubmission
from platformless.protocol import delta as deltas
from platformless.protocol import index as indexes
from platformless.protocol.acknowledgement import sign as acknowledge
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.delta import Delta
from platformless.protocol.digests import ProofHash
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.header import SessionHeader
from platformless.protocol.index import CheckpointIndex, IndexEntry, PublishedSample
from platformless.protocol.transcript import Entry, Tokens
from platformless.retrying import Backoff
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portals import Portals, PortalsSettings
from platformless.storage.wire import WireSettings
from tests.chain.world import World
from tests.data.make_recovery import BUNDLES, PRICE, SESSION_ID, checkpoints
from tests.data.make_traced import BUNDLES as TRACED_BUNDLES
from tests.data.make_traced import traced_checkpoints

BRIEF_PORTALS = PortalsSettings(patience_seconds=0.5)
BRIEF_WIRE = WireSettings(silence_seconds=1.0, request_seconds=5.0)
"""For a portal that may never be done."""
BRIEF_RPC = RpcSettings(request_seconds=20.0, patience_seconds=2.0, backoff=Backoff(0.05, 0.5))
_TIMESTAMP_MS = 5


@dataclass
class Stage:
    """What a test acts on."""

    world: World
    portal: EmbeddedPortal
    folder: Path

    def __post_init__(self) -> None:
        self._recorded = checkpoints(self.world.dev_chain)
        self.bundles = [path.read_bytes() for path in BUNDLES]
        self.host_key = bytes(self.world.dev_chain.accounts["host"].key)
        self.client_key = bytes(self.world.dev_chain.accounts["client"].key)
        self.submitted: list[ProofSubmission] = []
        self.samples: dict[int, PublishedSample] = {}
        self.files: list[bytes] = []

    def commit_to_traces(self) -> None:
        """From now on the session is the one whose claims have trace roots (`make_traced`)."""
        self._recorded = traced_checkpoints(self.world.dev_chain)
        self.bundles = [path.read_bytes() for path in TRACED_BUNDLES]

    # What an honest host has

    @property
    def deltas(self) -> list[Delta]:
        """Of both checkpoints, naming their proofs."""
        return [
            one.delta.with_proof(ProofHash.of(bundle))
            for one, bundle in zip(self._recorded, self.bundles, strict=True)
        ]

    @property
    def header(self) -> SessionHeader:
        return self._recorded[0].window.header

    def recorded_entries(self, checkpoints: int) -> tuple[Entry, ...]:
        """Of the first checkpoints."""
        return tuple(entry for one in self._recorded[:checkpoints] for entry in one.window.entries)

    @property
    def transcript(self) -> ExportedTranscript:
        """What the client received."""
        return ExportedTranscript(self.header, self.recorded_entries(len(self._recorded)))

    def delta_file(self, delta: Delta) -> bytes:
        return deltas.encode(deltas.sign(delta, self.host_key))

    def acknowledged(self, bundle: bytes, key: bytes | None = None) -> bytes:
        """The bundle with an acknowledgement of its claim."""
        decoded = Bundle.decode(bundle)
        claim = SessionClaim.decode(decoded.journal)
        signature = acknowledge(claim, key or self.client_key)
        return changed(decoded, acknowledgement=signature.value).encode()

    # What the host does

    async def put(self, data: bytes) -> str:
        self.files.append(data)
        async with Portals([PortalClient(ClientSettings(self.portal.url))]) as portals:
            return str(await portals.put(data))

    async def open(self) -> None:
        session_id = await self.world.open_session(
            deposit=self.world.network.usdc.amount("5"),
            price=Price(PRICE, self.world.network.usdc),
        )
        assert session_id == SESSION_ID

    async def submit(
        self,
        number: int,
        *,
        bundle: bytes | None = None,
        delta: bytes | None = None,
        tokens: int | None = None,
        proof_hash: ProofHash | None = None,
        proof_cid: str | None = None,
        delta_cid: str | None = None,
    ) -> None:
        """Claims checkpoint `number`, honestly but for what is given."""
        bundle = bundle if bundle is not None else self.bundles[number]
        named = self.deltas[number].with_proof(proof_hash or ProofHash.of(bundle))
        delta = delta if delta is not None else self.delta_file(named)
        honest = named.tokens_after - named.tokens_before
        submission = ProofSubmission(
            SESSION_ID,
            Tokens(honest if tokens is None else tokens),
            proof_hash or ProofHash.of(bundle),
            proof_cid if proof_cid is not None else await self.put(bundle),
            delta_cid if delta_cid is not None else await self.put(delta),
        )
        await self.world.pass_time(60)
        await self.world.send("host", self.world.marketplace.submit_proof(submission))
        self.submitted.append(submission)

    async def be_honest(self) -> None:
        """The whole session, as it was."""
        await self.open()
        for number in range(len(self.bundles)):
            await self.submit(number)

    async def settle(self) -> None:
        """The client ends the session."""
        await self.world.send("client", self.world.marketplace.complete(SESSION_ID, ""))

    def index(self, *, entries: int | None = None, key: bytes | None = None) -> bytes:
        """The host's index of what was submitted, or of the first of it."""
        index = CheckpointIndex(SESSION_ID, self.world.address("host"))
        before = Tokens(0)
        for number, one in enumerate(self.submitted[:entries]):
            after = Tokens(before + one.tokens)
            entry = IndexEntry(
                number,
                one.proof_hash,
                one.delta_cid,
                one.proof_cid,
                before,
                after,
                _TIMESTAMP_MS,
                sealed=False,
            )
            index = index.with_entry(entry)
            before = after
        for number, sample in self.samples.items():
            index = index.with_sample(number, sample)
        newest = deltas.sign(self.deltas[-1], self.host_key).signature
        return indexes.sign(index, newest, key or self.host_key).encode()

    # What the auditor does

    async def audit(
        self,
        inputs: AuditInputs | None = None,
        *,
        rpc_url: str | None = None,
        portal_url: str | None = None,
    ) -> AuditReport:
        urls = (rpc_url,) if rpc_url else self.world.network.rpc_urls
        wire = BRIEF_WIRE if portal_url else WireSettings()
        portal = PortalClient(ClientSettings(portal_url or self.portal.url, wire=wire))
        async with (
            Chain(self.world.network, rpc_urls=urls, settings=BRIEF_RPC) as chain,
            Portals([portal], BRIEF_PORTALS) as portals,
        ):
            return await audit_session(chain, portals, SESSION_ID, inputs)


def changed(bundle: Bundle, **fields: object) -> Bundle:
    """The bundle with other fields."""
    return msgspec.structs.replace(bundle, **fields)
