"""Errors of the DHT.

P2PError                   P2P-000
├── LibraryMissing         P2P-001   libp2p is not installed
├── P2PPortInUse           P2P-002   P2P_PORT cannot be listened on
├── AddressRefused         P2P-003   text that is no multiaddress of a peer
├── PeerKeyUnusable        P2P-004   the peer's key cannot be read or made
├── NobodyReached          P2P-005   none of the nodes that are asked first answers
├── TooMuchMemory          P2P-006   the process has grown larger than it may
├── NotOnChain             P2P-007   the chain does not say of a host what its record says
└── WrongModel             P2P-008   text that is no model id, or a record without that model
"""

from __future__ import annotations

from ...errors import PlatformlessError


class P2PError(PlatformlessError):
    """Nodes cannot find one another."""

    code = "P2P-000"


class LibraryMissing(P2PError):
    code = "P2P-001"
    advice = "install fabstir-llm-node with its extra p2p; it needs gcc and GMP (libgmp-dev)"


class P2PPortInUse(P2PError):
    code = "P2P-002"
    outcome = "invalid"
    exit_status = 2
    advice = "set P2P_PORT"


class AddressRefused(P2PError):
    code = "P2P-003"
    outcome = "invalid"
    exit_status = 2
    advice = "set P2P_BOOTSTRAP, or --bootstrap, to what `fabstir-llm-node p2p` prints as address"


class PeerKeyUnusable(P2PError):
    code = "P2P-004"
    outcome = "invalid"
    exit_status = 2
    advice = "repair the file, or remove it: the node is another peer then"


class NobodyReached(P2PError):
    code = "P2P-005"
    advice = "name other nodes with --bootstrap or P2P_BOOTSTRAP"


class TooMuchMemory(P2PError):
    code = "P2P-006"


class NotOnChain(P2PError):
    code = "P2P-007"
    outcome = "rejected"
    exit_status = 1


class WrongModel(P2PError):
    code = "P2P-008"
    outcome = "invalid"
    exit_status = 2
