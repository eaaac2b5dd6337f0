"""What the client sends: inits and prompts as frames. Pure: randomness is the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..protocol.digests import ModelId
from ..protocol.envelope import seal_init, seal_message
from ..protocol.errors import ProtocolError
from ..protocol.frames import LONGEST_STOP, MAX_FRAME_BYTES, MOST_STOPS
from ..protocol.sampling import DEFAULT_TEMPERATURE, asked_sampler
from ..protocol.secrecy import PublicKeyBytes
from ..protocol.seed import SeedPart
from ..protocol.transcript import Sampler
from ..protocol.words import U32_MAX
from .errors import RequestInvalid
from .verifying import Agreed
from .wallet import Wallet


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn, in llama.cpp's terms. None: as the host does by default."""

    temperature: float = DEFAULT_TEMPERATURE
    """0 is greedy."""
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None

    def fields(self) -> dict[str, Any]:
        named = {
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "repeat_penalty": self.repeat_penalty,
        }
        return {name: value for name, value in named.items() if value is not None}

    def sampler(self) -> Sampler:
        """What the host must draw with, its documented defaults for what is None.

        Raises:
            RequestInvalid: for a parameter that no sampler can have.
        """
        try:
            return asked_sampler(
                self.temperature, self.top_k, self.top_p, self.min_p, self.repeat_penalty
            )
        except ProtocolError as error:
            raise RequestInvalid(error.message, expected=error.expected, got=error.got) from error


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and how it shall be answered.

    Raises:
        RequestInvalid: for what no host could serve.
    """

    prompt: str
    max_tokens: int = 4000
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    new_context: bool = False
    """Whether the model shall not see the conversation so far."""

    def __post_init__(self) -> None:
        self.sampling.sampler()
        if not 1 <= self.max_tokens <= U32_MAX:
            raise RequestInvalid(
                "token limit out of range", expected=f"1 to {U32_MAX}", got=self.max_tokens
            )
        if len(self.stop) > MOST_STOPS:
            raise RequestInvalid(
                "too many stop strings", expected=f"at most {MOST_STOPS}", got=len(self.stop)
            )
        if (longest := max(map(len, self.stop), default=0)) > LONGEST_STOP:
            raise RequestInvalid(
                "a stop string is too long", expected=f"at most {LONGEST_STOP}", got=longest
            )
        try:
            self.prompt.encode()
        except UnicodeEncodeError as error:
            raise RequestInvalid("the prompt is not Unicode", got=str(error)) from None

    def plaintext(
        self, model_id: ModelId, client_part: SeedPart | None, transcript_from: int
    ) -> bytes:
        """The JSON that is encrypted. The client's part of the seed goes with it until the first
        answer is verified."""
        fields: dict[str, Any] = {
            "prompt": self.prompt,
            "model": str(model_id),
            "max_tokens": self.max_tokens,
            "stream": True,
            "transcript_from": transcript_from,
            "new_context": self.new_context,
            **self.sampling.fields(),
        }
        if self.stop:
            fields["stop"] = list(self.stop)
        if client_part is not None:
            fields["client_seed"] = client_part.value.hex()
        return msgspec.json.encode(fields)


def init_frame(
    agreed: Agreed,
    wallet: Wallet,
    host_key: PublicKeyBytes,
    *,
    session_key: bytes,
    ephemeral: bytes,
    nonce: bytes,
    proof: dict[str, str] | None,
    name: str,
) -> dict[str, Any]:
    """`encrypted_session_init`.

    Args:
        session_key, ephemeral: 32 fresh random bytes each.
        nonce: 24 fresh random bytes.
        proof: The answered wallet challenge, `nonce` and `signature` in hex.
        name: The `id` that replies echo.
    """
    session = str(agreed.session_id)
    fields: dict[str, Any] = {
        "jobId": session,
        "modelName": str(agreed.model_id),
        "sessionKey": session_key.hex(),
        "pricePerToken": str(agreed.price),
        "recoveryPublicKey": str(wallet.recovery_key),
    }
    if proof is not None:
        fields["wallet"] = proof
    init = seal_init(fields, host_key, wallet.encryption_key, ephemeral=ephemeral, nonce=nonce)
    return {
        "type": "encrypted_session_init",
        "payload": init.to_json(),
        "chain_id": str(agreed.chain_id),
        "session_id": session,
        "job_id": session,
        "id": name,
    }


def message_frame(
    agreed: Agreed, plaintext: bytes, session_key: bytes, *, nonce: bytes, number: int, name: str
) -> dict[str, Any]:
    """`encrypted_message`.

    Args:
        number: Of the message since the last init, from 0.
        name: The `id` that replies echo.

    Raises:
        RequestInvalid: when no host would take so large a frame.
    """
    sealed = seal_message(
        plaintext, session_key, nonce=nonce, associated=b"message_%d" % number
    ).to_json()
    if len(sealed["ciphertextHex"]) > MAX_FRAME_BYTES - 1000:
        raise RequestInvalid(
            "the prompt is too large",
            expected=f"about {MAX_FRAME_BYTES // 2} bytes",
            got=len(plaintext),
        )
    return {
        "type": "encrypted_message",
        "session_id": str(agreed.session_id),
        "id": name,
        "payload": sealed,
    }
