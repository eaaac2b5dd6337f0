"""What this release trusts: the guest programs, and the verifier that checks their proofs.

`image-ids.json` and `verifier.wasm` with its digest are made by `make guest` from `guest/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources

from ...protocol.digests import ImageId
from ..errors import VerifierDamaged


def trusted_images() -> Mapping[str, ImageId]:
    """Guest name to image id.

    Raises:
        VerifierDamaged: when the list is not readable.
    """
    try:
        listed = json.loads(_read("image-ids.json"))
        return {str(name): ImageId.from_hex(digits) for name, digits in listed.items()}
    except (ValueError, AttributeError) as error:
        raise VerifierDamaged("the list of trusted images is damaged", got=str(error)) from error


def verifier_module() -> bytes:
    """The WebAssembly verifier.

    Raises:
        VerifierDamaged: when its digest is not the released one.
    """
    module = _read("verifier.wasm")
    expected = _read("verifier.wasm.sha256").decode().strip()
    got = hashlib.sha256(module).hexdigest()
    if got != expected:
        raise VerifierDamaged("the verifier module is damaged", expected=expected, got=got)
    return module


def _read(name: str) -> bytes:
    try:
        return (resources.files(__name__) / name).read_bytes()
    except OSError as error:
        raise VerifierDamaged(f"{name} is missing", got=str(error)) from error
