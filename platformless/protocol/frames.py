"""Frames of the WebSocket, from client to host: read once, typed, or refused with a code.

A frame is a JSON object with a `type`. Ids come in two spellings, numbers sometimes as text; both
are taken. Fields that are not known are passed over, and no field has a
free form: what is nested without end is never built. What cannot be read is an error for the
client to hear, not a reason to drop the connection.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from coincurve import PublicKey
from msgspec import Meta, Struct

from ..decoding import decode_json, json_decoder
from .envelope import (
    Encrypted,
    EncryptedInit,
    WalletProof,
    encrypted_from_hex,
    init_signature,
)
from .errors import EnvelopeBroken, FrameRefused, ProtocolError
from .secrecy import PublicKeyBytes
from .words import U64_MAX

MAX_FRAME_BYTES = 16 << 20
"""What the existing node takes; a prompt with images is the largest."""
_TOLD_CHARACTERS = 200
_LONGEST_ID = 200
_MOST_DIGITS = 20
MOST_STOPS = 16
LONGEST_STOP = 64
"""Characters of a stop string: what an answer ends with may be held back for so long."""

Number = int | str | None


class ClientFrame(Struct, frozen=True, kw_only=True):
    """What every frame may carry. `id` is echoed in replies."""

    session_id: Number = None
    sessionId: Number = None  # noqa: N815
    job_id: Number = None
    jobId: Number = None  # noqa: N815
    chain_id: Number = None
    chainId: Number = None  # noqa: N815
    id: Annotated[str, Meta(max_length=_LONGEST_ID)] | int | None = None

    @property
    def session(self) -> int | None:
        """The session id in either spelling.

        Raises:
            FrameRefused: when it is no whole number.
        """
        return number("session id", self.session_id, self.sessionId)

    @property
    def job(self) -> int | None:
        return number("job id", self.job_id, self.jobId)

    @property
    def chain(self) -> int | None:
        return number("chain id", self.chain_id, self.chainId)


class SessionInitFrame(ClientFrame, frozen=True, kw_only=True, tag="session_init"):
    """Begins a session in the clear."""

    user_address: str | None = None
    session_token: str | None = None
    """New: from an earlier `session_init_ack`, to take the session up again."""
    wallet: WalletProof | None = None
    """New: as in an encrypted init."""


class EncryptedInitPayload(Struct, frozen=True):
    ephPubHex: str  # noqa: N815
    ciphertextHex: str  # noqa: N815
    nonceHex: str  # noqa: N815
    signatureHex: str  # noqa: N815
    aadHex: str = ""  # noqa: N815

    def decode(self) -> EncryptedInit:
        """Raises:
        FrameRefused: `INVALID_HEX_ENCODING`, `INVALID_NONCE_SIZE` or `INVALID_PAYLOAD`.
        """
        encrypted = _encrypted(self.ciphertextHex, self.nonceHex, self.aadHex)
        try:
            key = bytes.fromhex(self.ephPubHex.removeprefix("0x"))
            return EncryptedInit(_compressed(key), encrypted, init_signature(self.signatureHex))
        except ValueError as error:
            raise FrameRefused("INVALID_HEX_ENCODING", "key or signature is not hex") from error
        except ProtocolError as error:
            raise FrameRefused("INVALID_PAYLOAD", error.message) from error


class EncryptedInitFrame(ClientFrame, frozen=True, kw_only=True, tag="encrypted_session_init"):
    """Begins a session, or gives it a new key."""

    payload: EncryptedInitPayload | None = None


class EncryptedPayload(Struct, frozen=True):
    ciphertextHex: str  # noqa: N815
    nonceHex: str  # noqa: N815
    aadHex: str = ""  # noqa: N815

    def decode(self) -> Encrypted:
        """Raises:
        FrameRefused: `INVALID_HEX_ENCODING` or `INVALID_NONCE_SIZE`.
        """
        return _encrypted(self.ciphertextHex, self.nonceHex, self.aadHex)


class EncryptedMessageFrame(ClientFrame, frozen=True, kw_only=True, tag="encrypted_message"):
    """A prompt, or another action, under the session key."""

    payload: EncryptedPayload | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


class Image(Struct, frozen=True):
    """An image for models that see; base64."""

    data: str
    format: str = "png"


class PromptRequest(Struct, frozen=True):
    """A prompt and how to answer it."""

    prompt: str = ""
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    action: str | None = None
    images: list[Image] | None = None
    web_search: bool | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    stop: Annotated[
        list[Annotated[str, Meta(max_length=LONGEST_STOP)]], Meta(max_length=MOST_STOPS)
    ] = []
    client_seed: str | None = None
    """New: the client's part of the session's seed, 32 bytes in hex, with its first prompt."""
    new_context: bool = False
    """New: the model shall not see the conversation so far."""
    transcript_from: Annotated[int, Meta(ge=0)] | None = None
    """New: first entry that the answer's transcript update shall hold; None: those of the answer
    alone."""


class PromptFrame(ClientFrame, frozen=True, kw_only=True, tag="prompt"):
    """A prompt in the clear."""

    request: PromptRequest | None = None
    prompt: str = ""
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None


class InferenceFrame(ClientFrame, frozen=True, kw_only=True, tag="inference"):
    """A prompt in the clear, in its older form."""

    request: PromptRequest


class CancelFrame(ClientFrame, frozen=True, kw_only=True, tag="stream_cancel"):
    """Stops the answer that is under way."""

    reason: str = ""


class PingFrame(ClientFrame, frozen=True, kw_only=True, tag="ping"):
    """Says that the client is there."""


class AcknowledgeFrame(ClientFrame, frozen=True, kw_only=True, tag="acknowledge"):
    """The client's signature over what it received so far (EIP-712); the existing client sends
    none."""

    tokens: int
    state: str
    signature: str


class EndFrame(ClientFrame, frozen=True, kw_only=True, tag="session_end"):
    """The client is done; the host may settle."""


class UploadVectorsFrame(ClientFrame, frozen=True, kw_only=True, tag="uploadVectors"):
    requestId: str | None = None  # noqa: N815


class SearchVectorsFrame(ClientFrame, frozen=True, kw_only=True, tag="searchVectors"):
    requestId: str | None = None  # noqa: N815


class TranscodeCancelFrame(ClientFrame, frozen=True, kw_only=True, tag="transcode_cancel"):
    """Nothing to cancel here; taken and passed over."""


class LtxCancelFrame(ClientFrame, frozen=True, kw_only=True, tag="ltx_cancel"):
    """Nothing to cancel here; taken and passed over."""


Frame = (
    SessionInitFrame
    | EncryptedInitFrame
    | EncryptedMessageFrame
    | PromptFrame
    | InferenceFrame
    | CancelFrame
    | PingFrame
    | AcknowledgeFrame
    | EndFrame
    | UploadVectorsFrame
    | SearchVectorsFrame
    | TranscodeCancelFrame
    | LtxCancelFrame
)

_decoder = json_decoder(Frame)


def decode(data: str | bytes) -> Frame:
    """Reads a frame.

    Raises:
        FrameRefused: `MESSAGE_TOO_LARGE`, `INVALID_JSON`, `UNKNOWN_TYPE` or `INVALID_MESSAGE`.
    """
    if len(data) > MAX_FRAME_BYTES:
        raise FrameRefused(
            "MESSAGE_TOO_LARGE",
            "the frame is too large",
            expected=f"at most {MAX_FRAME_BYTES} bytes",
            got=len(data),
        )
    try:
        frame: Frame = _decoder.decode(data)
    except msgspec.ValidationError as error:
        told = str(error)
        code = "UNKNOWN_TYPE" if told.endswith("`$.type`") else "INVALID_MESSAGE"
        raise FrameRefused(code, "the frame cannot be used", got=told[:_TOLD_CHARACTERS]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameRefused("INVALID_JSON", "the frame is not a JSON object") from error
    return frame


def decode_prompt(plaintext: bytes, outer: EncryptedMessageFrame) -> PromptRequest:
    """What was encrypted: a JSON object or, from older clients, the bare prompt. What the object
    leaves out is taken from the frame around it.

    Raises:
        FrameRefused: `INVALID_UTF8`, or `INVALID_MESSAGE` for an object with mistyped fields.
    """
    try:
        text = plaintext.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FrameRefused("INVALID_UTF8", "the prompt is not UTF-8") from error
    if not text.lstrip().startswith("{"):
        return _with_defaults(PromptRequest(prompt=text), outer)
    try:
        return _with_defaults(decode_json(plaintext, PromptRequest), outer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FrameRefused(
            "INVALID_MESSAGE", "the prompt cannot be used", got=str(error)[:_TOLD_CHARACTERS]
        ) from error


def _with_defaults(request: PromptRequest, outer: EncryptedMessageFrame) -> PromptRequest:
    return msgspec.structs.replace(
        request,
        model=request.model or outer.model,
        max_tokens=outer.max_tokens if request.max_tokens is None else request.max_tokens,
        temperature=outer.temperature if request.temperature is None else request.temperature,
    )


def number(name: str, *spellings: Number) -> int | None:
    """The first spelling of a number that is there.

    Raises:
        FrameRefused: when it is no whole number.
    """
    for value in spellings:
        if value is None:
            continue
        text = str(value).removesuffix("n")  # as JavaScript may have written it
        digits = len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal()
        if not digits or int(text) > U64_MAX:
            raise FrameRefused(
                "INVALID_MESSAGE", f"{name} is no whole number", got=repr(text[:_TOLD_CHARACTERS])
            )
        return int(text)
    return None


def _encrypted(ciphertext: str, nonce: str, associated: str) -> Encrypted:
    try:
        return encrypted_from_hex(ciphertext, nonce, associated)
    except ValueError as error:
        raise FrameRefused("INVALID_HEX_ENCODING", "the payload is not hex") from error
    except EnvelopeBroken as error:
        raise FrameRefused(
            "INVALID_NONCE_SIZE", error.message, expected=error.expected, got=error.got
        ) from error


def _compressed(key: bytes) -> PublicKeyBytes:
    try:
        return PublicKeyBytes(PublicKey(key).format())
    except ValueError as error:
        raise FrameRefused("INVALID_PAYLOAD", "the ephemeral key is no secp256k1 key") from error
