"""Runs the receipt verifier, a WebAssembly module without imports, under hard limits.

A receipt comes from a stranger. The module that parses it can touch nothing but its own memory,
and memory and the number of instructions (*fuel*) are bounded before it starts: a trap, or fuel
that runs out, is a rejection like any other. Instances are used once; the compiled module is
shared, so threads verify in parallel.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from typing import cast

from wasmtime import (
    Config,
    Engine,
    Func,
    Instance,
    Memory,
    Module,
    Store,
    Trap,
    WasmtimeError,
)

from ..protocol.digests import ImageId
from .errors import (
    ForeignProofSystem,
    GuestFailed,
    ImageMismatch,
    InvalidSeal,
    JournalMismatch,
    MalformedReceipt,
    ReceiptKindNotAllowed,
    Rejection,
    VerifierDamaged,
    VerifierTrapped,
)
from .release import verifier_module

FUEL_FIXED = 1_000_000_000
FUEL_PER_RECEIPT_BYTE = 6_000
"""A composite receipt takes about 2,500 instructions a byte (benchmarks/proof_core.py)."""
MEMORY_FIXED_BYTES = 16 << 20
MEMORY_PER_RECEIPT_BYTE = 6


class ReceiptKinds(IntFlag):
    """Kinds of receipt, as the module's bit mask."""

    COMPOSITE = 1
    SUCCINCT = 2
    GROTH16 = 4


@dataclass(frozen=True, slots=True)
class Usage:
    """What a verification took."""

    fuel: int
    memory_bytes: int


class Verifier:
    """The compiled verifier; safe to share between threads."""

    def __init__(self, module: bytes) -> None:
        """Compiles `module`, or loads what an earlier process compiled from the same bytes.

        Raises:
            VerifierDamaged: when the bytes are not a module of ours.
        """
        config = Config()
        config.consume_fuel = True
        # Without a home folder there is no cache, and every start compiles.
        with contextlib.suppress(WasmtimeError):
            config.cache = True
        try:
            self._engine = Engine(config)
            self._module = Module(self._engine, module)
        except WasmtimeError as error:
            raise VerifierDamaged("the verifier module does not load", got=str(error)) from error
        if self._module.imports:
            raise VerifierDamaged("the verifier module has imports", expected="none")
        self._parameters = {
            kind: _Run(self._engine, self._module, 0).parameters(kind) for kind in ReceiptKinds
        }

    def verify(
        self, receipt: bytes, journal: bytes, image_id: ImageId, allowed: ReceiptKinds
    ) -> Usage:
        """Accepts the receipt as a proof that the guest `image_id` published `journal`.

        Raises:
            Rejection: of step 2 or 4, for the first check that fails.
        """
        run = _Run(self._engine, self._module, len(receipt) + len(journal))
        return run.verify(receipt, journal, image_id, allowed)

    def parameters(self, kind: ReceiptKinds) -> bytes:
        """Digest of the parameters with which this module verifies receipts of one kind."""
        return self._parameters[kind]


@cache
def released_verifier() -> Verifier:
    """The verifier of this release, compiled once a process."""
    return Verifier(verifier_module())


class _Run:
    """One instance with its own memory and fuel."""

    def __init__(self, engine: Engine, module: Module, input_bytes: int) -> None:
        self._store = Store(engine)
        self._fuel = FUEL_FIXED + FUEL_PER_RECEIPT_BYTE * input_bytes
        self._store.set_fuel(self._fuel)
        self._store.set_limits(
            memory_size=MEMORY_FIXED_BYTES + MEMORY_PER_RECEIPT_BYTE * input_bytes, instances=1
        )
        self._exports = Instance(self._store, module, []).exports(self._store)
        self._memory = cast(Memory, self._exports["memory"])

    def verify(
        self, receipt: bytes, journal: bytes, image_id: ImageId, allowed: ReceiptKinds
    ) -> Usage:
        try:
            status = self._call(
                "verify",
                self._put(receipt),
                len(receipt),
                self._put(journal),
                len(journal),
                self._put(image_id.value),
                int(allowed),
            )
            detail = "" if status == 0 else self._detail()
        except Trap as trap:
            raise VerifierTrapped("the verifier gave up", got=_first_line(trap)) from trap
        except WasmtimeError as error:
            raise VerifierTrapped("the verifier gave up", got=_first_line(error)) from error
        if status != 0:
            raise _rejection(status, detail, allowed)
        return Usage(self._fuel - self._store.get_fuel(), self._memory.data_len(self._store))

    def parameters(self, kind: ReceiptKinds) -> bytes:
        address = self._call("verifier_parameters", int(kind))
        return self._get(address, 32)

    def _call(self, name: str, *arguments: int) -> int:
        result: int = cast(Func, self._exports[name])(self._store, *arguments)
        return result & 0xFFFF_FFFF

    def _put(self, data: bytes) -> int:
        address = self._call("alloc", len(data))
        self._memory.write(self._store, data, address)
        return address

    def _get(self, address: int, length: int) -> bytes:
        return bytes(self._memory.read(self._store, address, address + length))

    def _detail(self) -> str:
        length = min(self._call("detail_len"), 4096)
        return self._get(self._call("detail"), length).decode("utf-8", "replace")


def _rejection(status: int, detail: str, allowed: ReceiptKinds) -> Rejection:
    """The rejection for a status of the module (`guest/verifier/src/check.rs`)."""
    expected, _, got = detail.partition(" ")
    match status:
        case 1:
            return MalformedReceipt("the receipt does not decode", got=detail)
        case 2:
            names = ", ".join(kind.name.lower() for kind in allowed if kind.name)
            return ReceiptKindNotAllowed("kind of receipt not allowed", expected=names, got=detail)
        case 3:
            return ForeignProofSystem(
                "receipt for other verifier parameters", expected=expected, got=got
            )
        case 4:
            return InvalidSeal("the proof does not hold", got=detail)
        case 5:
            return ImageMismatch("proof of another guest", expected=expected, got=got)
        case 6:
            return GuestFailed("the guest did not succeed", expected="Halted(0)", got=detail)
        case 7:
            return JournalMismatch(
                "the claim is not what the guest published", expected=got, got=expected
            )
        case _:
            return VerifierTrapped("the verifier answered with an unknown status", got=status)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
