"""What an auditor insists on of a whole session: small rules, each with one `verify`.

A rule that cannot be checked fails. Policies are TOML (docs/audit.md, "Policy"); what a file leaves
out is the default, and an unknown key is refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta, Struct

from ...decoding import convert
from ...protocol.assurance import Assurance
from ...protocol.digests import ImageId, WeightsRoot
from ...protocol.errors import ProtocolError
from ...protocol.sample.facts import ModelFactsDigest
from ...protocol.sample.plan import MOST_DRAWS
from ...protocol.transcript import Tokens
from ...protocol.words import U32_MAX
from ..evidence import Trust
from ..policy import RECEIPT_KINDS
from ..release import trusted_images
from .errors import (
    AssuranceTooLow,
    DeltasNotRead,
    IndexRequired,
    NotAcknowledged,
    NotExact,
    NotSettled,
    PolicyBroken,
    PolicyUnreadable,
    SamplesRequired,
    TooManyUnproven,
)

_ORDER = (Assurance.ACCOUNTING, Assurance.SAMPLED, Assurance.REPLAYED)
"""A replay recomputes everything, of which sampled cells are a part."""
_NO_TOKENS = Tokens(0)
DeltaDemand = Literal["none", "published", "read"]
ClaimKind = Literal["session", "aggregate", "sample"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What an audit has shown of a session, as the rules judge it."""

    claimed: Tokens
    proven: Tokens
    acknowledged: Tokens
    assurance: Assurance | None
    deltas: tuple[str, ...]
    """Of each checkpoint: read, sealed or missing."""
    index_checked: bool
    settled: bool
    replayed_exactly: bool = False
    """Whether every token was found to be the model's bit for bit."""
    sampled: bool = False
    """Whether every billed token is in a context with an accepted proof of sampled cells, or in a
    traced checkpoint that was not drawn."""
    sampled_tokens: Tokens = _NO_TOKENS
    """Billed tokens in contexts with an accepted proof of sampled cells."""
    spared_tokens: Tokens = _NO_TOKENS
    """Billed tokens in traced checkpoints that were not drawn."""
    sample_draws: int = 0
    """Cells of the kind of which fewest were drawn, in the proof that has fewest; 0: no proof."""


class SessionRule(Protocol):
    """A rule about a session."""

    def verify(self, shown: Shown) -> None:
        """Raises PolicyBroken when the session does not give it."""


@dataclass(frozen=True, slots=True)
class MinimumAssurance:
    level: Assurance

    def verify(self, shown: Shown) -> None:
        if shown.claimed == 0:
            return
        reached = -1 if shown.assurance is None else _ORDER.index(shown.assurance)
        if reached < _ORDER.index(self.level):
            raise AssuranceTooLow(
                "less was shown than the policy asks for",
                expected=self.level.value,
                got=shown.assurance.value if shown.assurance else "nothing",
            )


@dataclass(frozen=True, slots=True)
class MostUnprovenTokens:
    tokens: Tokens

    def verify(self, shown: Shown) -> None:
        unproven = shown.claimed - shown.proven
        if unproven > self.tokens:
            raise TooManyUnproven(
                "tokens were billed that no accepted proof covers",
                expected=f"at most {self.tokens}",
                got=unproven,
            )


@dataclass(frozen=True, slots=True)
class RequiredAcknowledgement:
    """The client has signed for every token that was billed."""

    def verify(self, shown: Shown) -> None:
        if shown.acknowledged < shown.claimed:
            raise NotAcknowledged(
                "the client has not signed for every token",
                expected=shown.claimed,
                got=shown.acknowledged,
            )


@dataclass(frozen=True, slots=True)
class RequiredDeltas:
    """Every delta is there and the host's; with `read`, it was read and is the one in the claim."""

    demand: DeltaDemand

    def verify(self, shown: Shown) -> None:
        enough = {"none": None, "published": ("read", "sealed"), "read": ("read",)}[self.demand]
        if enough is None:
            return
        short = [number for number, state in enumerate(shown.deltas) if state not in enough]
        if short:
            raise DeltasNotRead(
                "deltas are missing or were not read",
                expected=f"{self.demand}, of every checkpoint",
                got=f"{len(short)} not so, the first of checkpoint {short[0]}",
            )


@dataclass(frozen=True, slots=True)
class RequiredIndex:
    def verify(self, shown: Shown) -> None:
        if not shown.index_checked:
            raise IndexRequired("the host's index was not had, or is not right", expected="one")


@dataclass(frozen=True, slots=True)
class RequiredSettlement:
    def verify(self, shown: Shown) -> None:
        if not shown.settled:
            raise NotSettled("the session is not over", expected="settled", got="active")


@dataclass(frozen=True, slots=True)
class RequiredExactReplay:
    def verify(self, shown: Shown) -> None:
        if shown.claimed and not shown.replayed_exactly:
            raise NotExact("the transcript was not replayed bit for bit", expected="exact")


@dataclass(frozen=True, slots=True)
class RequiredSamples:
    """Sampled cells of every drawn checkpoint, also where a replay shows more."""

    def verify(self, shown: Shown) -> None:
        if shown.claimed and not shown.sampled:
            answered = shown.sampled_tokens + shown.spared_tokens
            raise SamplesRequired(
                "not every token is in an accepted proof of sampled cells, or was not drawn",
                expected=shown.claimed,
                got=answered,
            )


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    """The defaults accept what is proven in full, with its deltas, by the release's guests."""

    minimum_assurance: Assurance = Assurance.ACCOUNTING
    most_unproven_tokens: Tokens = _NO_TOKENS
    receipt_kinds: tuple[str, ...] = RECEIPT_KINDS
    images: Mapping[str, ImageId] = field(default_factory=trusted_images)
    """Guest that is trusted for each kind of claim."""
    require_acknowledgement: bool = False
    deltas: DeltaDemand = "published"
    require_index: bool = False
    require_settled: bool = False
    require_exact_replay: bool = False
    require_samples: bool = False
    sample_draws: int = 1
    """Least cells of each kind in a proof of sampled cells."""
    sample_one_in: int = 1
    """Of how many traced checkpoints one must have such a proof: the beacon says which."""
    models: Mapping[WeightsRoot, ModelFactsDigest] = field(default_factory=dict)
    """Facts of models that are trusted without their files."""

    @classmethod
    def read(cls, text: str) -> AuditPolicy:
        """Reads TOML.

        Raises:
            PolicyUnreadable: for anything but a policy; unknown keys too.
        """
        try:
            fields = convert(tomllib.loads(text), _PolicyFields)
            images: dict[str, ImageId] = {
                name: ImageId.from_hex(digits) for name, digits in fields.images.items()
            }
            models = {
                WeightsRoot.from_hex(root): ModelFactsDigest.from_hex(digits)
                for root, digits in fields.models.items()
            }
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
            raise PolicyUnreadable("not an audit policy", got=str(error)) from error
        except ProtocolError as error:
            raise PolicyUnreadable(
                f"not an audit policy: {error.message}", expected=error.expected, got=error.got
            ) from error
        unknown = [kind for kind in fields.receipt_kinds if kind not in RECEIPT_KINDS]
        if unknown or not fields.receipt_kinds:
            raise PolicyUnreadable(
                "unknown receipt kind",
                expected=", ".join(RECEIPT_KINDS),
                got=", ".join(unknown) or "none",
            )
        return cls(
            minimum_assurance=Assurance(fields.minimum_assurance),
            most_unproven_tokens=Tokens(fields.most_unproven_tokens),
            receipt_kinds=fields.receipt_kinds,
            images={**trusted_images(), **images},
            require_acknowledgement=fields.require_acknowledgement,
            deltas=fields.deltas,
            require_index=fields.require_index,
            require_settled=fields.require_settled,
            require_exact_replay=fields.require_exact_replay,
            require_samples=fields.require_samples,
            sample_draws=fields.sample_draws,
            sample_one_in=fields.sample_one_in,
            models=models,
        )

    @property
    def wants_samples(self) -> bool:
        """Whether a session without sample proofs breaks it."""
        return self.require_samples or self.minimum_assurance is Assurance.SAMPLED

    def with_changes(self, **changes: Any) -> AuditPolicy:
        """The policy with what flags say in place of the file."""
        return replace(self, **changes)

    def trust(self) -> Trust:
        """What this asks of each bundle."""
        return Trust(self.images, self.receipt_kinds)

    def rules(self) -> Iterator[SessionRule]:
        """What this asks of the session."""
        yield MostUnprovenTokens(self.most_unproven_tokens)
        yield MinimumAssurance(self.minimum_assurance)
        yield RequiredDeltas(self.deltas)
        if self.require_acknowledgement:
            yield RequiredAcknowledgement()
        if self.require_index:
            yield RequiredIndex()
        if self.require_settled:
            yield RequiredSettlement()
        if self.require_exact_replay:
            yield RequiredExactReplay()
        if self.require_samples:
            yield RequiredSamples()

    def broken_by(self, shown: Shown) -> list[PolicyBroken]:
        """Every rule that the session breaks."""
        broken = list[PolicyBroken]()
        for rule in self.rules():
            try:
                rule.verify(shown)
            except PolicyBroken as error:
                broken.append(error)
        return broken

    def to_json(self) -> dict[str, Any]:
        return {
            "minimum_assurance": self.minimum_assurance.value,
            "most_unproven_tokens": self.most_unproven_tokens,
            "receipt_kinds": list(self.receipt_kinds),
            "images": {name: str(image) for name, image in self.images.items()},
            "require_acknowledgement": self.require_acknowledgement,
            "deltas": self.deltas,
            "require_index": self.require_index,
            "require_settled": self.require_settled,
            "require_exact_replay": self.require_exact_replay,
            "require_samples": self.require_samples,
            "sample_draws": self.sample_draws,
            "sample_one_in": self.sample_one_in,
            "models": {str(root): str(facts) for root, facts in self.models.items()},
        }


class _PolicyFields(Struct, frozen=True, forbid_unknown_fields=True):
    minimum_assurance: Literal["accounting", "sampled", "replayed"] = "accounting"
    most_unproven_tokens: Annotated[int, Meta(ge=0)] = 0
    receipt_kinds: tuple[str, ...] = RECEIPT_KINDS
    images: dict[ClaimKind, str] = {}
    require_acknowledgement: bool = False
    deltas: DeltaDemand = "published"
    require_index: bool = False
    require_settled: bool = False
    require_exact_replay: bool = False
    require_samples: bool = False
    sample_draws: Annotated[int, Meta(ge=1, le=MOST_DRAWS)] = 1
    sample_one_in: Annotated[int, Meta(ge=1, le=U32_MAX)] = 1
    models: dict[str, str] = {}
