"""Policies of a session: read strictly, and failing closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.audit.release import trusted_images
from platformless.audit.session.errors import PolicyUnreadable
from platformless.audit.session.session_policy import AuditPolicy, Shown
from platformless.protocol.assurance import Assurance
from platformless.protocol.digests import WeightsRoot
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.transcript import Tokens

SHOWN = Shown(
    claimed=Tokens(500),
    proven=Tokens(500),
    acknowledged=Tokens(500),
    assurance=Assurance.REPLAYED,
    deltas=("read", "read"),
    index_checked=True,
    settled=True,
    replayed_exactly=True,
    sampled=True,
    sampled_tokens=Tokens(400),
    spared_tokens=Tokens(100),
    sample_draws=2,
)
STRICT = AuditPolicy(
    minimum_assurance=Assurance.REPLAYED,
    require_acknowledgement=True,
    deltas="read",
    require_index=True,
    require_settled=True,
    require_exact_replay=True,
    require_samples=True,
)


def codes(policy: AuditPolicy, shown: Shown) -> list[str]:
    return [one.code for one in policy.broken_by(shown)]


def test_what_is_shown_in_full_breaks_nothing() -> None:
    assert codes(STRICT, SHOWN) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"proven": 499}, "AUD-602"),
        ({"assurance": Assurance.ACCOUNTING}, "AUD-601"),
        ({"assurance": Assurance.SAMPLED}, "AUD-601"),
        ({"assurance": None}, "AUD-601"),
        ({"sampled": False}, "AUD-608"),
        ({"acknowledged": 499}, "AUD-603"),
        ({"deltas": ("read", "sealed")}, "AUD-604"),
        ({"deltas": ("missing", "read")}, "AUD-604"),
        ({"index_checked": False}, "AUD-605"),
        ({"settled": False}, "AUD-606"),
        ({"replayed_exactly": False}, "AUD-607"),
    ],
)
def test_every_rule_is_broken_by_its_own(change: dict[str, object], code: str) -> None:
    assert codes(STRICT, replace(SHOWN, **change)) == [code]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reached", "enough"),
    [
        (None, []),
        (Assurance.ACCOUNTING, ["accounting"]),
        (Assurance.SAMPLED, ["accounting", "sampled"]),
        (Assurance.REPLAYED, ["accounting", "sampled", "replayed"]),
    ],
)
def test_a_replay_is_more_than_samples(reached: Assurance | None, enough: list[str]) -> None:
    shown = replace(SHOWN, assurance=reached)
    passed = [one for one in Assurance if not codes(AuditPolicy(minimum_assurance=one), shown)]
    assert passed == enough


def test_the_defaults_ask_for_proofs_and_published_deltas() -> None:
    least = replace(
        SHOWN,
        acknowledged=Tokens(0),
        assurance=Assurance.ACCOUNTING,
        deltas=("sealed", "sealed"),
        index_checked=False,
        settled=False,
        replayed_exactly=False,
        sampled=False,
    )
    assert codes(AuditPolicy(), least) == []
    assert codes(AuditPolicy(), replace(least, deltas=("sealed", "missing"))) == ["AUD-604"]
    assert codes(AuditPolicy(deltas="none"), replace(least, deltas=("missing",))) == []


def test_nothing_billed_needs_no_assurance() -> None:
    nothing = replace(
        SHOWN,
        claimed=Tokens(0),
        proven=Tokens(0),
        acknowledged=Tokens(0),
        assurance=None,
        deltas=(),
        sampled=False,
    )
    assert codes(STRICT, nothing) == []


def test_a_file_says_what_it_says() -> None:
    image = "ab" * 32
    policy = AuditPolicy.read(
        f"""
        minimum_assurance = "replayed"
        most_unproven_tokens = 12
        receipt_kinds = ["succinct"]
        require_acknowledgement = true
        deltas = "none"
        require_samples = true
        sample_draws = 3
        sample_one_in = 10
        [images]
        session = "{image}"
        sample = "0x{image}"
        [models]
        "0x{"cd" * 32}" = "{"ef" * 32}"
        """
    )
    assert policy.minimum_assurance is Assurance.REPLAYED
    assert policy.most_unproven_tokens == 12
    assert policy.trust().receipt_kinds == ("succinct",)
    assert policy.trust().images["session"].value.hex() == image
    assert policy.trust().images["sample"].value.hex() == image
    assert (policy.require_samples, policy.sample_draws, policy.sample_one_in) == (True, 3, 10)
    assert policy.models == {
        WeightsRoot(b"\xcd" * 32): ModelFactsDigest(b"\xef" * 32),
    }
    assert not policy.require_index
    assert AuditPolicy.read("") == AuditPolicy()
    assert AuditPolicy().images == trusted_images()


@pytest.mark.parametrize(
    "text",
    [
        "minimum_assurance = 'proven'",
        "sample_draws = 0",
        "sample_draws = 25",
        "sample_one_in = 0",
        "sample_one_in = 0.5",
        "require_samples = 1",
        "models = { abcd = 'ef' }",
        "models = { session = 12 }",
        "most_unproven_tokens = -1",
        "most_unproven_tokens = '0'",
        "require_acknowledgment = true",  # misspelt
        "receipt_kinds = []",
        "receipt_kinds = ['fake']",
        "images = { session = 'ab' }",
        "images = { sessions = '00' }",
        "deltas = true",
        "not toml",
        "a = " + "[" * 10_000,
    ],
)
def test_a_file_that_says_anything_else_is_refused(text: str) -> None:
    with pytest.raises(PolicyUnreadable):
        AuditPolicy.read(text)
