"""A host whose index tells another story than the chain."""

from __future__ import annotations

from platformless.audit.session.inputs import AuditInputs

from .attack import attack
from .scene import Scene

_STRANGER = b"\x31" * 32


@attack("shows an index that ends early", "AUD-302")
async def stale_index(scene: Scene) -> AuditInputs:
    await scene.stage.be_honest()
    return AuditInputs(index=scene.stage.index(entries=1))


@attack("shows an index that names other files", "AUD-301")
async def other_files(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await stage.be_honest()
    stage.submitted[0] = stage.submitted[1]
    return AuditInputs(index=stage.index(entries=1))


@attack("shows an index with checkpoints that were never submitted", "AUD-301")
async def longer_index(scene: Scene) -> AuditInputs:
    stage = scene.stage
    await stage.be_honest()
    stage.submitted.append(stage.submitted[0])
    return AuditInputs(index=stage.index())


@attack("has a stranger sign the index", "AUD-303", who="stranger")
async def foreign_index(scene: Scene) -> AuditInputs:
    await scene.stage.be_honest()
    return AuditInputs(index=scene.stage.index(key=_STRANGER))


@attack("shows another session's index", "AUD-301")
async def another_index(scene: Scene) -> AuditInputs:
    await scene.stage.be_honest()
    index = scene.stage.index().replace(b'"sessionId": "1"', b'"sessionId": "2"')
    return AuditInputs(index=index)


@attack("nests the index's JSON", "PRO-010")
async def nested_index(scene: Scene) -> AuditInputs:
    await scene.stage.be_honest()
    return AuditInputs(index=b'{"checkpoints":' + b"[" * 1_000_000)
