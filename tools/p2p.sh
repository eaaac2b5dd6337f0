#!/usr/bin/env bash
# Adds libp2p to .venv, as requirements-p2p.lock has it; quick when it is there.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
stamp=.venv/p2p.sha256
want=$(cat requirements-p2p.lock "$0" | sha256sum)
[ "$(cat $stamp 2>/dev/null)" = "$want" ] && exit 0

# fastecdsa comes as source.
need gcc gcc
need_header gmp.h libgmp-dev
say "adding libp2p to the Python environment"
"$PLATFORMLESS_CACHE/tools/bin/uv" pip install -q --python .venv/bin/python --require-hashes --requirement requirements-p2p.lock
printf '%s' "$want" >$stamp
