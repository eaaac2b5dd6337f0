"""A host that shows one proof of a whole session, and not this one's."""

from __future__ import annotations

from dataclasses import replace

from platformless.audit.session.inputs import AuditInputs
from platformless.protocol.bundle import Bundle
from tests.data.make_aggregate import BUNDLE as AGGREGATE

from .attack import attack
from .scene import Scene
from .stage import changed


def _whole() -> bytes:
    return AGGREGATE.read_bytes()


@attack("bills fewer checkpoints than the whole session's proof has", "VER-601")
async def fewer(scene: Scene) -> AuditInputs:
    await scene.stage.open()
    await scene.stage.submit(0)
    return AuditInputs(whole_session=_whole())


@attack("bills other tokens than the whole session's proof has", "VER-601")
async def other_tokens(scene: Scene) -> AuditInputs:
    await scene.stage.open()
    await scene.stage.submit(0)
    await scene.stage.submit(1, tokens=1_000)
    return AuditInputs(whole_session=_whole())


@attack("passes off a checkpoint's proof as the whole session's", "VER-102")
async def a_part(scene: Scene) -> AuditInputs:
    await scene.stage.be_honest()
    return AuditInputs(whole_session=scene.stage.bundles[0])


@attack("changes the whole session's claim", "VER-405")
async def forged(scene: Scene) -> AuditInputs:
    await scene.stage.be_honest()
    bundle = Bundle.decode(_whole())
    journal = bytearray(bundle.journal)
    journal[-1] ^= 1
    return AuditInputs(whole_session=changed(bundle, journal=bytes(journal)).encode())


@attack("publishes other words under the whole session's proof", "RCV-005")
async def other_words(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await stage.open()
    delta = stage.deltas[0]
    *messages, last = delta.messages
    said = replace(delta, messages=(*messages, replace(last, content="Never said.")))
    await stage.submit(0, delta=stage.delta_file(said))
    await stage.submit(1)
    return AuditInputs(whole_session=_whole())
