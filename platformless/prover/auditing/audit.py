"""`prove-session audit`: a whole session, checked by anybody."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import AsJson, BadInput, Output, guarded, read_file, require_folder, write_file
from ..chain_options import (
    DEFAULT_NETWORK,
    ChainOptions,
    EnvFile,
    MarketplaceAddress,
    NetworkName,
    RpcUrls,
)
from .options import (
    PORTAL_PATIENCE_SECONDS,
    AskHost,
    AskPrivateHosts,
    Deltas,
    KeyFile,
    MinimumAssurance,
    MostUnproven,
    PolicyFile,
    PolicyOptions,
    PortalPatience,
    PortalUrls,
    ReceiptKinds,
    RequireAcknowledgement,
    RequireExactReplay,
    RequireIndex,
    RequireSamples,
    RequireSettled,
    SampleDraws,
    SampleOneIn,
    SecondRpcUrl,
    TrustedImages,
    TrustedModels,
    bundle_named,
    one_of,
    opened,
    read_key,
)

if TYPE_CHECKING:
    from ...audit.session.report import AuditReport

_REJECTED = 1


def audit(
    session: Annotated[int, typer.Argument(min=1, help="Session id, the job id on chain.")],
    portal: PortalUrls,
    network: NetworkName = DEFAULT_NETWORK,
    env_file: EnvFile = None,
    rpc_url: RpcUrls = None,
    marketplace: MarketplaceAddress = None,
    second_rpc_url: SecondRpcUrl = None,
    key_file: KeyFile = None,
    transcript: Annotated[
        Path | None,
        typer.Option("--transcript", help="The client's saved session, or a session record."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="The model's GGUF: replay the transcript, know the model of samples."
        ),
    ] = None,
    replay: Annotated[str, typer.Option("--replay", help="auto, exact or statistical.")] = "auto",
    whole_session: Annotated[
        str | None,
        typer.Option(
            "--whole-session",
            metavar="FILE|CID",
            help="One proof of all checkpoints (`prove-session aggregate`), in place of theirs.",
        ),
    ] = None,
    index: Annotated[
        Path | None, typer.Option("--index", help="The host's index, when it is at hand.")
    ] = None,
    sample: Annotated[
        list[Path] | None,
        typer.Option("--sample", help="A bundle of sampled cells; may be given several times."),
    ] = None,
    ask_host: AskHost = True,
    ask_private_hosts: AskPrivateHosts = False,
    policy: PolicyFile = None,
    minimum_assurance: MinimumAssurance = None,
    most_unproven_tokens: MostUnproven = None,
    receipt_kind: ReceiptKinds = None,
    trust_image: TrustedImages = None,
    require_acknowledgement: RequireAcknowledgement = False,
    deltas: Deltas = None,
    require_index: RequireIndex = False,
    require_settled: RequireSettled = False,
    require_exact_replay: RequireExactReplay = False,
    require_samples: RequireSamples = False,
    sample_draws: SampleDraws = None,
    sample_one_in: SampleOneIn = None,
    trust_model: TrustedModels = None,
    portal_patience: PortalPatience = PORTAL_PATIENCE_SECONDS,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report as one HTML file here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a session from chain and storage: proofs, payments, text, and with --model the tokens.

    Exit status 0 accepted, 1 rejected, 2 bad input, 3 the audit could not run.
    """

    def run(output: Output) -> None:
        from ...audit.replay.modes import WantedMode
        from ...audit.session.audit import audit_session
        from ...audit.session.inputs import AuditInputs
        from ...chain.connection import Chain
        from ...protocol.exported import ExportedTranscript
        from .progress import AuditProgress
        from .show import show_audit

        mode = WantedMode(one_of("replay mode", replay, [one.value for one in WantedMode]))
        if html is not None:
            require_folder("report", html)
        if model is not None and not model.is_file():
            raise BadInput(f"cannot read {model}", expected="a GGUF file")
        options = ChainOptions(network, env_file, tuple(rpc_url or ()), marketplace)
        wanted = PolicyOptions(
            policy,
            minimum_assurance,
            most_unproven_tokens,
            tuple(receipt_kind or ()),
            tuple(trust_image or ()),
            require_acknowledgement,
            deltas,
            require_index,
            require_settled,
            require_exact_replay,
            require_samples,
            sample_draws,
            sample_one_in,
            tuple(trust_model or ()),
        ).resolve()
        exported = ExportedTranscript.decode(read_file(transcript)) if transcript else None
        given_index = read_file(index) if index else None
        samples = tuple(map(read_file, sample or ()))
        private_key = read_key(key_file)

        async def auditing() -> AuditReport:
            async with AsyncExitStack() as stack:
                chain, storage = await stack.enter_async_context(
                    opened(options, portal, portal_patience)
                )
                second = None
                if second_rpc_url is not None:
                    second = await stack.enter_async_context(
                        Chain(chain.network, rpc_urls=(second_rpc_url,))
                    )
                inputs = AuditInputs(
                    policy=wanted,
                    private_key=private_key,
                    transcript=exported,
                    whole_session=await bundle_named(whole_session, storage),
                    index=given_index,
                    ask_host=ask_host,
                    ask_private_hosts=ask_private_hosts,
                    samples=samples,
                    model=model,
                    replay_mode=mode,
                    second_node=second,
                )
                with AuditProgress(output.errors) as progress:
                    return await audit_session(chain, storage, session, inputs, progress.on_stage)

        report = asyncio.run(auditing())
        if html is not None:
            from ...audit.session.html import render_html

            write_file(html, render_html(report).encode())
        if as_json:
            output.json(report.outcome, audit=report.to_json())
        else:
            show_audit(output, report)
            if html is not None:
                output.line(f"written to {html}")
        if not report.accepted:
            raise typer.Exit(_REJECTED)

    guarded("prove-session", "audit", as_json, run)
