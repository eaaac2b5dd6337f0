"""The blocklist: addresses, networks and wallets that an operator does not serve.

    203.0.113.7            # an address
    198.51.100.0/24        # a network; also of IPv6
    0x70997970C51812dc3A010C7d01b50e0d17dc79C8

One a line; what follows `#` is a comment. The file is looked at once a second while somebody
asks, and read again when it has changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ...protocol.digests import Address
from ...protocol.errors import ValueOutOfRange
from .client_address import ClientAddress, Networks, network_of
from .errors import BlocklistBroken

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
_LARGEST_BYTES = 64 << 20
_TOLD_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Blocklist:
    """Who is not served."""

    networks: Networks = field(default_factory=Networks)
    wallets: frozenset[Address] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises:
        BlocklistBroken: names the first line that cannot be read.
        """
        networks, wallets = [], set()
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            try:
                if entry[:2] in ("0x", "0X"):
                    wallets.add(Address.from_hex(entry))
                else:
                    networks.append(network_of(entry))
            except (ValueError, ValueOutOfRange) as error:
                expected = error.expected if isinstance(error, ValueOutOfRange) else None
                raise BlocklistBroken(
                    f"line {number} of the blocklist cannot be read",
                    expected=expected or "an address, a network or a wallet",
                    got=repr(entry[:_TOLD_CHARACTERS]),
                ) from None
        return cls(Networks.of(networks), frozenset(wallets))

    def blocks_address(self, address: ClientAddress) -> bool:
        return address.address in self.networks

    def blocks_wallet(self, wallet: Address) -> bool:
        return wallet in self.wallets


@dataclass(frozen=True, slots=True)
class _Version:
    """By which a change of the file is seen; of its mode as well."""

    written_ns: int
    changed_ns: int
    size_bytes: int
    inode: int


class BlocklistFile:
    """A blocklist that follows its file. Without a file nobody is blocked.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.

    Raises:
        BlocklistBroken: when the file cannot be read at the start. Later the last list that could
            be read stays, and the log says why.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._look_at = clock() + LOOK_SECONDS
        self._version: _Version | None = None
        self._list = Blocklist()
        if path is not None:
            self._list, self._version = _read(path)

    @property
    def current(self) -> Blocklist:
        """The newest list."""
        if self._path is not None and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_SECONDS
            self._look(self._path)
        return self._list

    def _look(self, path: Path) -> None:
        try:
            version = _version(path)
            if version == self._version:
                return
            self._version = version
            self._list, self._version = _read(path)
        except OSError as error:
            if self._version is not None:
                log.warning("the blocklist cannot be read, the last one stays: %s", error)
            self._version = None
        except BlocklistBroken as error:
            log.warning("%s: %s; the last list stays", path, error)
        else:
            log.info("the blocklist was read again: %d wallets", len(self._list.wallets))


def _version(path: Path) -> _Version:
    found = path.stat()
    return _Version(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def _read(path: Path) -> tuple[Blocklist, _Version]:
    """Raises:
    BlocklistBroken
    """
    try:
        version = _version(path)
        if version.size_bytes > _LARGEST_BYTES:
            raise BlocklistBroken(
                f"{path} is too large", expected=f"at most {_LARGEST_BYTES} bytes"
            )
        return Blocklist.parse(path.read_text("utf-8")), version
    except (OSError, UnicodeDecodeError) as error:
        raise BlocklistBroken(f"{path} cannot be read", got=error) from None
