"""A host that publishes another conversation than it proved."""

from __future__ import annotations

from dataclasses import replace

from platformless.audit.session.inputs import AuditInputs
from platformless.protocol import delta as deltas
from platformless.protocol.delta import Message
from platformless.protocol.sealing import seal
from platformless.protocol.secrecy import NONCE_BYTES, PublicKeyBytes

from .attack import attack
from .scene import Scene

_STRANGER = b"\x31" * 32
_CLIENT = b"\x08" * 32


@attack("lets another key sign the delta", "RCV-003")
async def foreign_signature(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    signed = deltas.sign(stage.deltas[0], _STRANGER)
    await stage.submit(0, delta=deltas.encode(signed))


@attack("names the delta of another checkpoint", "RCV-004")
async def another_delta(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    await stage.submit(0, delta=stage.delta_file(stage.deltas[1]))


@attack("signs other words after they were proven", "RCV-005")
async def other_words(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    delta = stage.deltas[0]
    *messages, last = delta.messages
    said = replace(delta, messages=(*messages, replace(last, content="Never said.")))
    await stage.submit(0, delta=stage.delta_file(said))


@attack("leaves a message out of the delta", "RCV-005")
async def fewer_words(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    delta = stage.deltas[0]
    await stage.submit(0, delta=stage.delta_file(replace(delta, messages=delta.messages[:-1])))


@attack("publishes no delta", "AUD-604")
async def no_delta(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, delta_cid="")


@attack("seals the delta for another key than the client's", "PRO-008")
async def sealed_for_another(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await stage.open()
    key = PublicKeyBytes.of(_STRANGER)
    plain = deltas.plaintext(deltas.sign(stage.deltas[0], stage.host_key))
    sealed = seal(plain, key, ephemeral=b"\x01" * 32, nonce=bytes(NONCE_BYTES))
    await stage.submit(0, delta=deltas.encode(deltas.sign_sealed(sealed, key, stage.host_key)))
    return AuditInputs(private_key=_CLIENT)


@attack("nests the delta's JSON a million deep", "PRO-009")
async def nested_delta(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, delta=b'{"messages":' + b"[" * 1_000_000)


@attack("publishes a delta of 17 MB", "AUD-604")
async def huge_delta(scene: Scene) -> None:
    stage = scene.stage
    await stage.open()
    long = Message("user", "a" * (17 << 20), 0)
    await stage.submit(0, delta=stage.delta_file(replace(stage.deltas[0], messages=(long,))))


@attack("publishes noise in the place of a delta", "PRO-009")
async def noise(scene: Scene) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, delta=b"\xff\xfe" * 500)
