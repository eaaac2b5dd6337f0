"""What strangers may have of the process that takes part in the DHT, and how long they may take.

libp2p's own limits are those of a machine that does nothing else.
"""

from __future__ import annotations

RECORD_PROTOCOL = "/platformless/record/1"
"""Whoever opens a stream is sent the record's length as a varint, and the record."""

MAX_CONNECTIONS = 128
MAX_INBOUND = 96
MAX_PENDING_INBOUND = 32
MAX_CONNECTIONS_PER_PEER = 2
MAX_STREAMS = 512
HANDSHAKE_SECONDS = 10.0

MAX_DHT_STREAMS = 32
MAX_RECORD_STREAMS = 16
MAX_STREAMS_PER_PEER = 4
"""Of each protocol, at once."""
STREAM_SECONDS = 30.0
"""A stream that is still open is reset."""

MAX_MODEL_KEYS = 1024
MAX_PROVIDERS_PER_MODEL = 64
MAX_ADDRESSES_PER_PROVIDER = 8
PROVIDER_SECONDS = 3600.0
"""How long an announcement counts. libp2p's own 48 hours would name nodes long gone."""

ANNOUNCE_SECONDS = 600.0
RETRY_SECONDS = 5.0
"""How often nodes that are asked first are connected to again, and a failed announcement made."""
RECORD_POLL_SECONDS = 2.0
REACH_SECONDS = 10.0
"""For connecting to a node."""
LOOKUP_SECONDS = 60.0
FETCH_SECONDS = 10.0
FETCHES_AT_ONCE = 8

MEMORY_POLL_SECONDS = 5.0
MAX_MEMORY_MIB = 384
"""Resident. A process beyond it ends, and is started again."""
MAX_DATA_MIB = 1024
"""What the kernel gives it at most."""
NICENESS = 10
"""Behind whoever generates tokens or proves."""
