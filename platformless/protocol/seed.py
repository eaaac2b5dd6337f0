"""The seed of a session: made from a contribution of each side, so that neither chooses it.

    seed        tagged_sha256("seed", host part (32 bytes) + client part (32 bytes))
    commitment  tagged_sha256("seed-commitment", host part)

The host shows the commitment first, then the client names its part, then the host shows its own.
"""

from __future__ import annotations

from .digests import FixedBytes, Seed, tagged_sha256


class SeedPart(FixedBytes):
    """What one side contributes to the seed of a session."""


class SeedCommitment(FixedBytes):
    """What the host shows before it learns the client's part."""


def seed_commitment(host_part: SeedPart) -> SeedCommitment:
    return SeedCommitment(tagged_sha256("seed-commitment", host_part.value))


def session_seed(host_part: SeedPart, client_part: SeedPart) -> Seed:
    """The seed of a session.

    A client that contributes nothing counts as 32 zero bytes; the host alone then chose the seed.
    """
    return Seed(tagged_sha256("seed", host_part.value + client_part.value))
