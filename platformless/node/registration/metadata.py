"""The metadata of a host: a JSON object by convention, of which clients take what they know.

The fields are those that the existing TypeScript client and older nodes write. What is in a
registration already and not named here stays as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ...protocol.secrecy import PublicKeyBytes
from .asked import Details
from .hardware import Hardware

CAPABILITIES = ("inference", "streaming", "session-proofs")
UNKNOWN_LOCATION = "unknown"
_LONGEST_READ = 64 << 10


@dataclass(frozen=True, slots=True)
class Machine:
    """What metadata says of a node without being told."""

    version: str
    hardware: Hardware
    public_key: PublicKeyBytes


def fields_of(metadata: str) -> dict[str, Any]:
    """The object in a host's metadata; empty when there is none."""
    if len(metadata) > _LONGEST_READ:
        return {}
    try:
        found = json.loads(metadata)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def name_in(metadata: str) -> str | None:
    """The name that a host gives itself."""
    name = fields_of(metadata).get("name")
    return name if isinstance(name, str) else None


def new_metadata(machine: Machine, details: Details) -> str:
    """The metadata of a host that registers."""
    fields: dict[str, Any] = {"name": details.name}
    _describe(fields, machine)
    fields["location"] = UNKNOWN_LOCATION
    _tell(fields, details)
    fields["publicKey"] = machine.public_key.value.hex()
    return _text(fields)


def changed_metadata(
    metadata: str, key: PublicKeyBytes, details: Details, machine: Machine | None
) -> str:
    """A host's metadata with what was asked for in it, and its public key, which clients encrypt
    to; `metadata` itself when nothing differs.

    Args:
        machine: Described anew when given.
    """
    before = fields_of(metadata)
    fields = dict(before)
    if machine is not None:
        _describe(fields, machine)
    _tell(fields, details)
    fields["publicKey"] = key.value.hex()
    return metadata if fields == before else _text(fields)


def _describe(fields: dict[str, Any], machine: Machine) -> None:
    hardware = machine.hardware
    fields["version"] = machine.version
    fields["hardware"] = {
        "gpu": hardware.gpu,
        "vram": hardware.vram_gib,
        "ram": hardware.ram_gib,
        "cpu": hardware.cpu,
    }
    fields["capabilities"] = list(CAPABILITIES)


def _tell(fields: dict[str, Any], details: Details) -> None:
    if details.name is not None:
        fields["name"] = details.name
    if details.location is not None:
        fields["location"] = details.location
    if details.performance_tier is not None:
        fields["performance_tier"] = details.performance_tier
    if details.max_concurrent is not None:
        fields["maxConcurrentJobs"] = fields["maxConcurrent"] = details.max_concurrent


def _text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
