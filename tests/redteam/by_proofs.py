"""A host whose proof files are forged, foreign, mislabelled or bombs."""

from __future__ import annotations

import struct

import msgspec

from platformless.protocol.bundle import MAGIC, Bundle
from platformless.storage.cids import BlobId
from tests.proof.conftest import BUNDLE, WEAK_BUNDLE
from tests.proof.receipts import fake_receipt, seal_range

from .attack import attack
from .scene import Scene
from .stage import changed

_STRANGER = b"\x77" * 32
_DEPTH = 100_000


async def _submit(scene: Scene, bundle: bytes) -> None:
    await scene.stage.open()
    await scene.stage.submit(0, bundle=bundle)


def _first(scene: Scene) -> Bundle:
    return Bundle.decode(scene.stage.bundles[0])


@attack("changes the claim after it was proven", "VER-405")
async def forged_claim(scene: Scene) -> None:
    bundle = _first(scene)
    journal = bytearray(bundle.journal)
    journal[-1] ^= 1
    await _submit(scene, changed(bundle, journal=bytes(journal)).encode())


@attack("forges the seal", "VER-402")
async def forged_seal(scene: Scene) -> None:
    bundle = _first(scene)
    receipt = bytearray(bundle.receipt)
    places = seal_range(bundle.receipt)
    receipt[places[len(places) // 2]] ^= 1
    await _submit(scene, changed(bundle, receipt=bytes(receipt)).encode())


@attack("proves with a guest that bills prompts", "VER-301")
async def weak_guest(scene: Scene) -> None:
    await _submit(scene, WEAK_BUNDLE.read_bytes())


@attack("names the trusted guest for the weak guest's proof", "VER-403")
async def renamed_guest(scene: Scene) -> None:
    weak = Bundle.decode(WEAK_BUNDLE.read_bytes())
    await _submit(scene, changed(weak, image_id=_first(scene).image_id).encode())


@attack("publishes a development receipt, which proves nothing", "VER-202")
async def development_receipt(scene: Scene) -> None:
    bundle = _first(scene)
    fake = fake_receipt(bundle.image_id, bundle.journal)
    await _submit(scene, changed(bundle, receipt=fake).encode())


@attack("publishes a proof of another chain's session", "VER-601")
async def foreign_bundle(scene: Scene) -> None:
    await _submit(scene, BUNDLE.read_bytes())


@attack("promises more than the proof gives", "VER-103")
async def overstated(scene: Scene) -> None:
    await _submit(scene, changed(_first(scene), assurance="replayed").encode())


@attack("labels the claim as another kind", "VER-102")
async def unknown_kind(scene: Scene) -> None:
    await _submit(scene, changed(_first(scene), claim_kind="sample").encode())


@attack("labels the receipt as succinct", "VER-203")
async def relabelled(scene: Scene) -> None:
    await _submit(scene, changed(_first(scene), receipt_kind="succinct").encode())


@attack("has a stranger acknowledge", "VER-703")
async def foreign_acknowledgement(scene: Scene) -> None:
    await _submit(scene, scene.stage.acknowledged(scene.stage.bundles[0], _STRANGER))


@attack("puts noise in the place of the client's signature", "VER-702")
async def noise_acknowledgement(scene: Scene) -> None:
    await _submit(scene, changed(_first(scene), acknowledgement=b"\xff" * 65).encode())


@attack("spells the bundle in another way", "VER-101")
async def other_spelling(scene: Scene) -> None:
    await _submit(scene, scene.stage.bundles[0] + b"\x00")


@attack("publishes something else in the place of a bundle", "VER-101")
async def no_bundle(scene: Scene) -> None:
    await _submit(scene, b"\x7fELF" + bytes(1000))


@attack("nests MessagePack a hundred thousand deep", "VER-101")
async def nested_bundle(scene: Scene) -> None:
    await _submit(scene, MAGIC + b"\x91" * _DEPTH + b"\xc0")


@attack("names lengths that no memory holds", "VER-401")
async def memory_bomb(scene: Scene) -> None:
    bomb = struct.pack("<IQ", 0, 2**60) + bytes(1000)
    await _submit(scene, changed(_first(scene), receipt=bomb).encode())


@attack("nests receipts until the verifier gives up", "VER-406")
async def nested_receipt(scene: Scene) -> None:
    # A composite receipt without segments, which rests on another, and so on.
    bomb = struct.pack("<I", 0) + struct.pack("<QQI", 0, 1, 0) * _DEPTH
    await _submit(scene, changed(_first(scene), receipt=bomb).encode())


@attack("publishes a bundle of 17 MB", "AUD-602")
async def huge_bundle(scene: Scene) -> None:
    await _submit(scene, changed(_first(scene), receipt=bytes(17 << 20)).encode())


@attack("names a file of a petabyte", "AUD-602")
async def impossible_file(scene: Scene) -> None:
    await scene.stage.open()
    named = BlobId(BlobId.of(b"").hash, 2**50)
    await scene.stage.submit(0, proof_cid=str(named))


@attack("packs a map of a million keys", "VER-101")
async def wide_bundle(scene: Scene) -> None:
    keys = {f"k{number}": number for number in range(200_000)}
    await _submit(scene, MAGIC + msgspec.msgpack.encode({"format": 1, **keys}))
