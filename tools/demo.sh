#!/usr/bin/env bash
# Proves a recorded session and checks the proof as a stranger would.
. "$(dirname "$0")/common.sh"
cd "$ROOT"

record=tests/data/session-1000.json
bundle=$(mktemp -d)/session-1000.bundle
trap 'rm -rf "$(dirname "$bundle")"' EXIT
command=.venv/bin/prove-session

say "1. A recorded chat of 1,000 completion tokens with a real model: what would its proof take?"
$command estimate $record
say "2. Prove the token accounting: the host's part. This builds a real STARK."
$command prove $record --out "$bundle"
say "3. Verify as the client or any stranger: one file, no trust in the host."
$command verify "$bundle" --expect-chain 84532 --expect-session 1000 --expect-tokens 0:1000 --require-acknowledgement
say "4. The same file with one bit of the claim changed: rejected."
.venv/bin/python - "$bundle" <<'PYTHON'
import sys
from pathlib import Path

import msgspec

from platformless.protocol.bundle import Bundle

path = Path(sys.argv[1])
bundle = Bundle.decode(path.read_bytes())
journal = bytearray(bundle.journal)
journal[12 * 32 + 31] ^= 1  # tokens after: 1,000 becomes 1,001
path.write_bytes(msgspec.structs.replace(bundle, journal=bytes(journal)).encode())
PYTHON
if $command verify "$bundle"; then
    fail "a forged bundle was accepted"
fi
