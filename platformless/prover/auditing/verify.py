"""`prove-session verify`: one bundle of any kind, checked by anybody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ...audit.model_file import identify_model
from ...audit.policy import (
    Acknowledgement,
    ClaimPolicy,
    ExpectedChain,
    ExpectedClient,
    ExpectedHost,
    ExpectedMarketplace,
    ExpectedSession,
    ExpectedTokens,
    TermsPolicy,
)
from ...audit.sample import verify_sample
from ...audit.sample_expected import BlockHash, ExpectedSample, NamedModel
from ...audit.verify import Policy, verify_bundle
from ...audit.whole_session import verify_any
from ...console import AsJson, BadInput, Output, guarded, read_file
from ...protocol.bundle import Bundle
from ...protocol.digests import Address
from ...protocol.errors import BundleFormatError
from ...protocol.sample.claim import CLAIM_KIND as SAMPLE
from ...protocol.trace.challenge import Beacon
from ...protocol.transcript import Tokens
from ..output import show_sample, show_verification

BundleFile = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A proof bundle.")]


def verify(
    bundle: BundleFile,
    expect_chain: Annotated[int | None, typer.Option(help="Chain id.")] = None,
    expect_marketplace: Annotated[str | None, typer.Option(help="Marketplace address.")] = None,
    expect_session: Annotated[int | None, typer.Option(help="Session id.")] = None,
    expect_host: Annotated[str | None, typer.Option(help="Host address.")] = None,
    expect_client: Annotated[str | None, typer.Option(help="Client address.")] = None,
    expect_tokens: Annotated[
        str | None, typer.Option(metavar="A:B", help="Completion tokens before and after.")
    ] = None,
    require_acknowledgement: Annotated[
        bool, typer.Option("--require-acknowledgement", help="Insist on the client's signature.")
    ] = False,
    checkpoint_bundle: Annotated[
        Path | None,
        typer.Option(help="Of sampled cells: the proof of the checkpoint that they are of."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Of sampled cells: the GGUF that they were computed with.")
    ] = None,
    beacon: Annotated[
        str | None,
        typer.Option(metavar="NUMBER:HASH", help="Of sampled cells: the block that drew them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle in numbered steps; needs no prover and trusts nobody."""

    def run(output: Output) -> None:
        rules: list[TermsPolicy] = []
        if expect_chain is not None:
            rules.append(ExpectedChain(expect_chain))
        if expect_marketplace is not None:
            rules.append(ExpectedMarketplace(Address.from_hex(expect_marketplace)))
        if expect_session is not None:
            rules.append(ExpectedSession(expect_session))
        if expect_host is not None:
            rules.append(ExpectedHost(Address.from_hex(expect_host)))
        if expect_client is not None:
            rules.append(ExpectedClient(Address.from_hex(expect_client)))
        tokens = None if expect_tokens is None else _token_range(expect_tokens)
        acknowledgement = Acknowledgement(require_acknowledgement)
        joined = _SampleOptions(checkpoint_bundle, model, beacon)
        data = read_file(bundle)
        if _is_sample(data):
            if tokens is not None:
                raise BadInput(
                    "sampled cells bill no tokens",
                    expected="--checkpoint-bundle",
                    got="--expect-tokens",
                )
            policy = Policy(acknowledgement=acknowledgement)
            sampled = verify_sample(data, joined.expected(rules), policy)
            if as_json:
                output.json("accepted", verification=sampled.to_json())
            else:
                show_sample(output, sampled)
            return
        joined.require_none()
        expectations: list[ClaimPolicy] = [*rules]
        if tokens is not None:
            expectations.append(tokens)
        report = verify_any(
            data, Policy(expectations=expectations, acknowledgement=acknowledgement)
        )
        if as_json:
            output.json("accepted", verification=report.to_json())
        else:
            show_verification(output, report)

    guarded("prove-session", "verify", as_json, run)


@dataclass(frozen=True, slots=True)
class _SampleOptions:
    """What was given to compare sampled cells with."""

    checkpoint_bundle: Path | None = None
    model: Path | None = None
    beacon: str | None = None

    def expected(self, terms: list[TermsPolicy]) -> ExpectedSample:
        """Raises:
        Rejection: when the checkpoint's own bundle is not accepted.
        TraceRefused: when the model cannot be traced.
        """
        checkpoint = None
        if self.checkpoint_bundle is not None:
            checkpoint = verify_bundle(read_file(self.checkpoint_bundle)).claim
        return ExpectedSample(
            checkpoint=checkpoint,
            beacon=None if self.beacon is None else _block(self.beacon),
            model=None if self.model is None else _model(self.model),
            terms=terms,
        )

    def require_none(self) -> None:
        """Raises:
        BadInput: when something was given that only sampled cells are compared with.
        """
        given = {
            "--checkpoint-bundle": self.checkpoint_bundle,
            "--model": self.model,
            "--beacon": self.beacon,
        }
        for option, value in given.items():
            if value is not None:
                raise BadInput(
                    f"{option} is for bundles of sampled cells", expected="a bundle of kind sample"
                )


def _is_sample(data: bytes) -> bool:
    """Whether the bytes say that they are a proof of sampled cells."""
    try:
        return Bundle.decode(data).claim_kind == SAMPLE
    except BundleFormatError:
        return False


def _block(text: str) -> BlockHash:
    number, colon, digits = text.partition(":")
    if not colon or not number.isdecimal():
        raise BadInput("not a block", expected="NUMBER:HASH", got=repr(text))
    return BlockHash(int(number), Beacon.from_hex(digits))


def _model(path: Path) -> NamedModel:
    if not path.is_file():
        raise BadInput(f"cannot read {path}", expected="a GGUF file")
    found = identify_model(path)
    if found.facts is None:
        raise found.problem or BadInput("a model without facts", got=path)
    return NamedModel(found.weights_root, found.facts)


def _token_range(text: str) -> ExpectedTokens:
    before, colon, after = text.partition(":")
    if not colon or not before.isdecimal() or not after.isdecimal():
        raise BadInput("not a range of tokens", expected="A:B, two whole numbers", got=repr(text))
    return ExpectedTokens(Tokens(int(before)), Tokens(int(after)))
