#!/usr/bin/env bash
# Builds stark-prover and puts it into the cache folder's bin/: prover.sh [cuda]
#
#   RECURSION_SRC_PATH=FILE   RISC0's recursion_zkr.zip: the binary can make succinct receipts
#   FETCH_RECURSION=1         let the build download that file
#   PORTABLE=1                for other machines than this one: no instructions of this CPU
. "$(dirname "$0")/common.sh"
cd "$ROOT/guest"
need_compiler

device=${1:-cpu}
name=stark-prover
options=(--release --locked -p stark-prover)
if [ "$device" = cuda ]; then
    name=stark-prover-cuda
    options+=(--features cuda)
    . "$ROOT/tools/cuda.sh"
fi

# A proof is 13 % faster with this machine's vector instructions (docs/benchmarks.md); a cache folder
# that moves to another machine must not serve its binaries there.
if [ "${PORTABLE:-0}" = 1 ]; then
    target=portable
else
    export RUSTFLAGS="${RUSTFLAGS:-} -C target-cpu=native"
    target=$(grep -m 1 '^flags' /proc/cpuinfo | sha256sum | cut -c 1-8)
fi
# With and without the recursion programs are two builds: the one without leaves an empty file in
# their place, which the other would take for them.
if [ -n "${RECURSION_SRC_PATH:-}" ] || [ "${FETCH_RECURSION:-0}" = 1 ]; then
    capability="composite and succinct"
    target=$target-recursion
else
    capability="composite only; see docs/development.md for succinct"
    export DOCS_RS=1
    export PROVER_WITHOUT_RECURSION=1
fi
export CARGO_TARGET_DIR=$PLATFORMLESS_CACHE/target-$device-$target

say "building $name (receipts: $capability)"
# The build script of the recursion programs makes its empty file only where there is none, and tries
# to download when it runs a second time. Then its folder is removed, and it runs as the first time.
cargo build "${options[@]}" || {
    [ -n "${DOCS_RS:-}" ] || exit 1
    say "once more, without what is left of the last build of risc0-circuit-recursion"
    rm -rf "$CARGO_TARGET_DIR"/release/build/risc0-circuit-recursion-[0-9a-f]*
    cargo build "${options[@]}"
}
mkdir -p "$PLATFORMLESS_CACHE/bin"
cp "$CARGO_TARGET_DIR/release/stark-prover" "$PLATFORMLESS_CACHE/bin/.$name.new"
mv "$PLATFORMLESS_CACHE/bin/.$name.new" "$PLATFORMLESS_CACHE/bin/$name"
say "ready: $PLATFORMLESS_CACHE/bin/$name"
