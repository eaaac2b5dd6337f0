"""Challenges in both directions: the host proves its key, and clients prove their wallet.

`POST /v1/auth/challenge` signs SHA-256 of 32 bytes that a stranger chose, as existing clients ask
for it to learn the host's public key. That is safe as long as nothing else that is signed with
the key can be the SHA-256 of 32 bytes of a stranger's choice:

* Transactions, EIP-191 (deltas, indexes) and EIP-712 (wallet challenges, acknowledgements,
  EIP-3009) are signed as keccak-256 digests: a stranger would need 32 bytes whose SHA-256 is the
  keccak-256 of such a text, a collision between two hash functions (2^128 tries).
* A client's session init is signed as SHA-256, of a text of more than 130 bytes that begins with
  `E2EEv1|`. It is never 32 bytes long; to be taken for them it needs a collision.
* Chains of the Bitcoin family sign SHA-256 of SHA-256 of a transaction: a stranger **can** have
  that signed here. No program of this project uses the key there, and no operator may: coins
  that the same key holds on such a chain are anyone's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...protocol.host_key import HostKey
from ..guard.buckets import Bucket, Limit
from ..sessions.challenges import WalletChallenges
from .bodies import read_body, session_number
from .errors import TooManyRequests
from .replies import json_reply

MAX_BODY_BYTES = 16 << 10
_PATH = "/v1/auth/challenge"
_RECOVERY_ID_OFFSET = 27
_NO_STORE = {"cache-control": "no-store"}


class KeyChallenge(Struct, frozen=True):
    """What a client asks to be signed: 32 random bytes in hex."""

    challenge: Annotated[str, Meta(pattern=r"^(0[xX])?[0-9a-fA-F]{64}\Z")]


class KeyProof(Struct, frozen=True):
    """The signature: r and s in hex, which of two keys it is, and that key, compressed."""

    signature: str
    recid: int
    publicKey: str  # noqa: N815


class WalletChallengeBody(Struct, frozen=True):
    """What the session's depositor signs (EIP-712), see `protocol.wallet_challenge`."""

    chain_id: int
    marketplace: str
    host: str
    session_id: str
    nonce: str
    expires: int


class RateLimit:
    """So many calls a second, and as many at once after a second of quiet.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = Bucket(Limit(per_second, per_second), clock)

    def take(self) -> None:
        """Raises:
        TooManyRequests: when this call is one too many.
        """
        wait_seconds = self._bucket.take()
        if wait_seconds:
            raise TooManyRequests("too many challenges at once", math.ceil(wait_seconds))


class ChallengeEndpoints:
    """`POST` and `GET /v1/auth/challenge`.

    Args:
        host_key: That of the host's account.
        rate: For signatures; 50 a second otherwise.
    """

    def __init__(
        self, host_key: HostKey, wallet_challenges: WalletChallenges, rate: RateLimit | None = None
    ) -> None:
        self._host_key = host_key
        self._public_key = host_key.public_key.value.hex()
        self._wallet_challenges = wallet_challenges
        self._rate = rate or RateLimit(50)

    def routes(self) -> list[Route]:
        return [
            Route(_PATH, self.prove_key, methods=["POST"]),
            Route(_PATH, self.issue, methods=["GET"]),
        ]

    async def prove_key(self, request: Request) -> Response:
        """Signs what the client chose: the key that is recovered is the host's."""
        asked = await read_body(request, KeyChallenge, MAX_BODY_BYTES)
        self._rate.take()
        chosen = bytes.fromhex(asked.challenge[-64:])
        signature = (await asyncio.to_thread(self._host_key.sign_challenge, chosen)).value
        proof = KeyProof(
            signature[:64].hex(), signature[64] - _RECOVERY_ID_OFFSET, self._public_key
        )
        return json_reply(proof, headers=_NO_STORE)

    async def issue(self, request: Request) -> Response:
        """A challenge for the wallet that opened a session."""
        session_id = session_number("session_id", request.query_params.get("session_id"))
        challenge = self._wallet_challenges.issue(session_id)
        body = WalletChallengeBody(
            chain_id=challenge.chain_id,
            marketplace=str(challenge.marketplace),
            host=str(challenge.host),
            session_id=str(session_id),
            nonce=str(challenge.nonce),
            expires=challenge.expires,
        )
        return json_reply(body, headers=_NO_STORE)
