"""The options that commands on whole sessions have in common, and what they come to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ...console import BadInput, read_file
from ...protocol.assurance import Assurance
from ...protocol.digests import ImageId, WeightsRoot
from ...protocol.sample.facts import ModelFactsDigest
from ...protocol.sample.plan import MOST_DRAWS
from ...protocol.transcript import Tokens
from ...protocol.words import U32_MAX
from ..chain_options import ChainOptions

if TYPE_CHECKING:
    from ...audit.session.session_policy import AuditPolicy
    from ...chain.connection import Chain
    from ...storage.portals import Portals

KEY_VARIABLE = "RECOVERY_PRIVATE_KEY"
_KEY_BYTES = 32
PORTAL_PATIENCE_SECONDS = 60.0

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help=f"File with the recovery key's private key in hex; default: ${KEY_VARIABLE}.",
    ),
]
PortalUrls = Annotated[
    list[str],
    typer.Option("--portal", envvar="S5_PORTAL_URL", help="S5 portal; may be given several times."),
]
PortalPatience = Annotated[
    float,
    typer.Option("--portal-patience", min=0.0, help="Seconds in which a file is asked for again."),
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="What to insist on, as TOML; flags replace it.")
]
MinimumAssurance = Annotated[
    str | None, typer.Option("--minimum-assurance", help="accounting, sampled or replayed.")
]
MostUnproven = Annotated[
    int | None,
    typer.Option("--most-unproven-tokens", min=0, help="Billed tokens that may lack a proof."),
]
ReceiptKinds = Annotated[
    list[str] | None,
    typer.Option("--receipt-kind", help="Kind that is accepted; may be given several times."),
]
TrustedImages = Annotated[
    list[str] | None,
    typer.Option("--trust-image", metavar="KIND=ID", help="Guest trusted for a kind of claim."),
]
RequireAcknowledgement = Annotated[
    bool,
    typer.Option("--require-acknowledgement", help="Insist on the client's signature for all."),
]
Deltas = Annotated[
    str | None, typer.Option("--deltas", help="none, published or read: what is insisted on.")
]
RequireIndex = Annotated[bool, typer.Option("--require-index", help="Insist on the host's index.")]
RequireSettled = Annotated[
    bool, typer.Option("--require-settled", help="Insist that the session is over.")
]
RequireExactReplay = Annotated[
    bool,
    typer.Option("--require-exact-replay", help="Insist that the replay is bit for bit."),
]
RequireSamples = Annotated[
    bool,
    typer.Option(
        "--require-samples", help="Insist on sampled cells of every drawn checkpoint, replay or no."
    ),
]
SampleDraws = Annotated[
    int | None,
    typer.Option("--sample-draws", min=1, max=MOST_DRAWS, help="Least cells of each kind."),
]
SampleOneIn = Annotated[
    int | None,
    typer.Option(
        "--sample-one-in", min=1, max=U32_MAX, help="Of so many checkpoints one must be sampled."
    ),
]
TrustedModels = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-model",
        metavar="ROOT=FACTS",
        help="Facts trusted for a root of weights, as `prove-session model` prints them.",
    ),
]
AskHost = Annotated[
    bool,
    typer.Option(
        "--ask-host/--no-ask-host", help="Ask the host, at the registry's address, for its index."
    ),
]
AskPrivateHosts = Annotated[
    bool, typer.Option("--ask-private-hosts", help="Also when that address is a private one.")
]
SecondRpcUrl = Annotated[
    str | None,
    typer.Option("--second-rpc-url", help="Another node, whose answers must be the same."),
]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What was given of a policy: a file, and flags that replace what it says."""

    file: Path | None = None
    minimum_assurance: str | None = None
    most_unproven_tokens: int | None = None
    receipt_kinds: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    require_acknowledgement: bool = False
    deltas: str | None = None
    require_index: bool = False
    require_settled: bool = False
    require_exact_replay: bool = False
    require_samples: bool = False
    sample_draws: int | None = None
    sample_one_in: int | None = None
    models: tuple[str, ...] = ()

    def resolve(self) -> AuditPolicy:
        """Raises:
        PolicyUnreadable: when the file is no policy.
        BadInput: for a flag that says nothing.
        """
        from ...audit.policy import RECEIPT_KINDS
        from ...audit.session.session_policy import AuditPolicy, DeltaDemand

        policy = AuditPolicy()
        if self.file is not None:
            policy = AuditPolicy.read(read_file(self.file).decode("utf-8", "replace"))
        changes: dict[str, Any] = {}
        if self.minimum_assurance is not None:
            levels = [level.value for level in Assurance]
            changes["minimum_assurance"] = Assurance(
                one_of("assurance", self.minimum_assurance, levels)
            )
        if self.most_unproven_tokens is not None:
            changes["most_unproven_tokens"] = Tokens(self.most_unproven_tokens)
        if self.receipt_kinds:
            changes["receipt_kinds"] = tuple(
                one_of("receipt kind", kind, RECEIPT_KINDS) for kind in self.receipt_kinds
            )
        if self.images:
            changes["images"] = {**policy.images, **dict(map(_image, self.images))}
        if self.models:
            changes["models"] = {**policy.models, **dict(map(_model, self.models))}
        for name in ("sample_draws", "sample_one_in"):
            if getattr(self, name) is not None:
                changes[name] = getattr(self, name)
        if self.deltas is not None:
            changes["deltas"] = one_of("demand", self.deltas, get_args(DeltaDemand))
        for name in (
            "require_acknowledgement",
            "require_index",
            "require_settled",
            "require_exact_replay",
            "require_samples",
        ):
            if getattr(self, name):
                changes[name] = True
        return policy.with_changes(**changes)


@asynccontextmanager
async def opened(
    options: ChainOptions,
    portals: list[str],
    patience_seconds: float = PORTAL_PATIENCE_SECONDS,
) -> AsyncIterator[tuple[Chain, Portals]]:
    """Chain and storage, as the options name them."""
    from ...chain.connection import Chain
    from ...storage.client import ClientSettings, PortalClient
    from ...storage.portals import Portals, PortalsSettings

    clients = [PortalClient(ClientSettings(url)) for url in portals]
    settings = PortalsSettings(patience_seconds=patience_seconds)
    async with Chain(options.resolve()) as chain, Portals(clients, settings) as storage:
        yield chain, storage


def read_key(key_file: Path | None) -> bytes | None:
    """The private key of a file, or of the environment; None when there is none.

    Raises:
        BadInput: when it is not 32 bytes in hex. The key is not shown.
    """
    if key_file is not None:
        text, source = read_file(key_file).decode("ascii", "replace"), str(key_file)
    else:
        text, source = os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE
        if not text:
            return None
    try:
        key = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadInput(f"{source} holds no private key", expected=f"{_KEY_BYTES} bytes in hex")
    return key


async def bundle_named(named: str | None, storage: Portals) -> bytes | None:
    """The bundle that `--whole-session` names: a file, or a CID in storage.

    Raises:
        BadInput: when it is neither.
        StorageError: when storage does not give it.
    """
    from ...protocol.bundle import MAX_BUNDLE_BYTES
    from ...storage.cids import BlobId
    from ...storage.errors import CidError

    if named is None:
        return None
    path = Path(named)
    if path.is_file():
        return read_file(path)
    try:
        blob = BlobId.parse(named)
    except CidError as error:
        raise BadInput("neither a file nor a CID", expected="FILE or CID", got=named) from error
    return await storage.get(blob, largest_bytes=MAX_BUNDLE_BYTES)


def _image(text: str) -> tuple[str, ImageId]:
    from ...audit.session.session_policy import ClaimKind

    kind, equals, digits = text.partition("=")
    if not equals:
        raise BadInput("not a trusted image", expected="KIND=ID", got=repr(text))
    return one_of("claim kind", kind, get_args(ClaimKind)), ImageId.from_hex(digits)


def _model(text: str) -> tuple[WeightsRoot, ModelFactsDigest]:
    root, equals, digits = text.partition("=")
    if not equals:
        raise BadInput("not a trusted model", expected="ROOT=FACTS", got=repr(text))
    return WeightsRoot.from_hex(root), ModelFactsDigest.from_hex(digits)


def one_of(what: str, text: str, known: Any) -> str:
    if text not in known:
        raise BadInput(f"unknown {what}", expected=" or ".join(known), got=repr(text))
    return text
