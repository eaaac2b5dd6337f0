"""Rows' private contents, sealed at rest (XChaCha20-Poly1305).

    sealed      nonce (24 random bytes) + ciphertext with its tag, of the content's MessagePack
    associated  JSON array: table, chain, session number in decimal, the row's numbers

A row that was altered, or put in the place of another, is not opened. Rows that were taken away
are not noticed here; a hole among the entries is, by their numbers, when the session is read.
"""

from __future__ import annotations

import secrets
from typing import TypeVar

import msgspec
from msgspec import Struct

from ...decoding import decode_msgpack
from ...protocol.errors import SealBroken
from ...protocol.secrecy import NONCE_BYTES, decrypt, encrypt
from .errors import LedgerDamaged, LedgerSealBroken

_Content = TypeVar("_Content", bound=Struct)


class Sealer:
    """Seals and opens the rows of one chain. The key is 32 bytes."""

    def __init__(self, key: bytes, chain: str) -> None:
        self._key = key
        self.chain = chain

    def seal(self, table: str, session_id: int, row: tuple[int, ...], content: Struct) -> bytes:
        """`row` is what tells the row from others of its session."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        associated = self._associated(table, session_id, row)
        return nonce + encrypt(self._key, nonce, msgspec.msgpack.encode(content), associated)

    def open(
        self,
        table: str,
        session_id: int,
        row: tuple[int, ...],
        sealed: bytes,
        kind: type[_Content],
    ) -> _Content:
        """What was sealed for this place.

        Raises:
            LedgerSealBroken: when the key is another, or the row was altered or moved.
            LedgerDamaged: when what was sealed is not of this kind.
        """
        where = f"{table} row {'/'.join(map(str, row))}".rstrip() + f" of session {session_id}"
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        associated = self._associated(table, session_id, row)
        try:
            plaintext = decrypt(self._key, nonce, ciphertext, associated)
        except SealBroken as error:
            raise LedgerSealBroken(
                f"the {where} cannot be opened", expected="the ledger's key and an unaltered row"
            ) from error
        try:
            return decode_msgpack(plaintext, kind)
        except msgspec.MsgspecError as error:
            raise LedgerDamaged(f"the {where} cannot be read", got=str(error)) from error

    def _associated(self, table: str, session_id: int, row: tuple[int, ...]) -> bytes:
        return msgspec.json.encode([str(table), self.chain, str(session_id), *row])
