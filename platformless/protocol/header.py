"""The session header: what a session is bound to, fixed before its first token."""

from __future__ import annotations

from dataclasses import dataclass

from .digests import HeaderDigest, Salt, Seed, tagged_sha256
from .terms import SessionTerms


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """Ten 32-byte words; their digest stands in every claim of the session."""

    terms: SessionTerms
    seed: Seed
    salt: Salt

    def encode(self) -> bytes:
        """All ten words, 320 bytes (docs/formats.md, "Session header")."""
        return self.terms.encode() + self.seed.value + self.salt.value

    def digest(self) -> HeaderDigest:
        return HeaderDigest(tagged_sha256("session-header", self.encode()))
