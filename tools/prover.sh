#!/usr/bin/env bash
# Builds stark-prover into the cache folder: prover.sh [cuda]
. "$(dirname "$0")/common.sh"
cd "$ROOT/guest"
need_compiler

device=${1:-cpu}
options=(--release --locked -p stark-prover)
export CARGO_TARGET_DIR=$PLATFORMLESS_CACHE/target
if [ "$device" = cuda ]; then
    export CARGO_TARGET_DIR=$PLATFORMLESS_CACHE/target-cuda
    . "$ROOT/tools/cuda.sh"
    options+=(--features cuda)
fi

# Succinct receipts need RISC Zero's recursion programs. Tried in this order: a file at hand
# (RECURSION_SRC_PATH), a download by the build itself (FETCH_RECURSION=1), none.
if [ -n "${RECURSION_SRC_PATH:-}" ] || [ "${FETCH_RECURSION:-0}" = 1 ]; then
    capability="composite and succinct"
    # An earlier build without the programs left an empty file that would be taken for them.
    find "$CARGO_TARGET_DIR/release/build" -path '*risc0-circuit-recursion-*/out/recursion_zkr.zip' \
        -size 0 -delete 2>/dev/null || true
else
    capability="composite only (set RECURSION_SRC_PATH or FETCH_RECURSION=1 for succinct)"
    export DOCS_RS=1
    # Their kernels are never called then: spend no time on optimising them.
    options+=(--config 'profile.release.package."risc0-circuit-recursion-sys".opt-level=1')
fi

say "building stark-prover ($device, receipts: $capability)"
cargo build "${options[@]}"
say "built $CARGO_TARGET_DIR/release/stark-prover"
