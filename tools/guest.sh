#!/usr/bin/env bash
# Rebuilds the guests and the verifier and compares them with what is committed.
#   guest.sh check    fails when an id or a digest differs
#   guest.sh update   writes what was built: a release decision, every trusted id changes
. "$(dirname "$0")/common.sh"

mode=${1:-check}
RUST_VERSION=1.95.0
RELEASE=$ROOT/platformless/audit/release
WORK=$PLATFORMLESS_CACHE/guest
mkdir -p "$WORK"

command -v cargo >/dev/null || fail "cargo is missing: install Rust $RUST_VERSION"
have=$(rustc --version | cut -d' ' -f2)
[ "$have" = "$RUST_VERSION" ] || fail "ids depend on the compiler: expected rustc $RUST_VERSION, got $have"

# The standard library's source: from rustup, else from Debian's package, unpacked into the cache.
# The package index is kept apart from the system's, so this needs no root.
rust_source() {
    local library
    library=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    if [ ! -d "$library" ]; then
        library=$WORK/rust-src/usr/src/rustc-$RUST_VERSION/library
        [ -d "$library" ] || fetch_rust_source
    fi
    [ -d "$library" ] || fail "no source of the standard library: install rust-src $RUST_VERSION"
    printf '%s' "$library"
}

fetch_rust_source() {
    say "fetching the source of Rust's standard library"
    local mirror apt
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -nE 's#^(URIs:|deb) *(\[[^]]*\] *)?(https?://[^ ]*/debian)/?( .*)?$#\3#p' | head -n 1)
    [ -n "$mirror" ] || fail "no Debian mirror in /etc/apt: install rust-src $RUST_VERSION another way"
    apt=$WORK/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$WORK/rust-src"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie-backports main" >"$apt/sources.list"
    local options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update >/dev/null
    local version
    version=$(apt-cache "${options[@]}" madison rust-src | awk -v want="^$RUST_VERSION" '$3 ~ want { print $3; exit }')
    [ -n "$version" ] || fail "the mirror has no rust-src $RUST_VERSION"
    (cd "$apt" && apt-get "${options[@]}" download "rust-src=$version" >/dev/null && dpkg -x rust-src_*.deb "$WORK/rust-src")
}

say "building the packing tool"
(cd "$ROOT/guest" && CARGO_TARGET_DIR=$WORK/target-tools cargo build -q --release --locked -p pack)

LIBRARY=$(rust_source)
CARGO_HOME_PATH=${CARGO_HOME:-$HOME/.cargo}

# Neither the checkout's folder nor the user's may show in an id.
REMAP=("--remap-path-prefix=$ROOT/guest=/guest" "--remap-path-prefix=$CARGO_HOME_PATH=/cargo"
    "--remap-path-prefix=$LIBRARY=/rust-src" "-Zlocation-detail=none")
export RUSTC_WRAPPER=$ROOT/tools/rustc.sh
export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$LIBRARY
unset RUSTFLAGS

encoded() { local IFS=$'\x1f'; printf '%s' "$*"; }

# build_guest PROGRAM OUT [cargo options]: prints the image id.
build_guest() {
    local program=$1 out=$2
    shift 2
    (cd "$ROOT/guest/programs" &&
        CARGO_TARGET_DIR=$WORK/target CARGO_ENCODED_RUSTFLAGS=$(encoded -Cpasses=lower-atomic \
            -Clink-arg=--fatal-warnings -Cpanic=abort "${REMAP[@]}") \
            cargo build -q --release --locked -Z build-std=core -Z build-std-features=compiler-builtins-mem \
            --target riscv32im-risc0-zkvm-elf -p "$program" "$@") || return
    "$WORK/target-tools/release/pack" "$WORK/target/riscv32im-risc0-zkvm-elf/release/$program" "$out"
}

build_verifier() {
    (cd "$ROOT/guest" &&
        CARGO_TARGET_DIR=$WORK/target CARGO_ENCODED_RUSTFLAGS=$(encoded "${REMAP[@]}") \
            cargo build -q --profile wasm --locked --lib -p verifier -Z build-std=std,panic_abort \
            --target wasm32-unknown-unknown)
    cp "$WORK/target/wasm32-unknown-unknown/wasm/verifier.wasm" "$WORK/verifier.wasm"
}

say "building the guests"
session=$(build_guest session "$WORK/session.bin")
weak=$(build_guest session "$WORK/session-weak.bin" --features weak)
aggregate=$(build_guest aggregate "$WORK/aggregate.bin")
sample=$(build_guest sample "$WORK/sample.bin")
say "building the verifier"
build_verifier

printf '{\n  "aggregate": "%s",\n  "sample": "%s",\n  "session": "%s"\n}\n' "$aggregate" "$sample" "$session" >"$WORK/image-ids.json"
sha256sum <"$WORK/verifier.wasm" | cut -d' ' -f1 >"$WORK/verifier.wasm.sha256"

differs=0
# settle NAME TARGET: compares or installs one file.
settle() {
    if cmp -s "$WORK/$1" "$2/$1"; then
        say "same: $1"
    elif [ "$mode" = update ]; then
        cp "$WORK/$1" "$2/$1"
        say "updated: $1"
    else
        say "DIFFERS: $1"
        differs=1
    fi
}
mkdir -p "$ROOT/guest/elf"
settle image-ids.json "$RELEASE"
settle session.bin "$ROOT/guest/elf"
settle aggregate.bin "$ROOT/guest/elf"
settle sample.bin "$ROOT/guest/elf"
settle session-weak.bin "$ROOT/tests/data"
settle verifier.wasm "$RELEASE"
settle verifier.wasm.sha256 "$RELEASE"
say "session $session, aggregate $aggregate, sample $sample, test guest session-weak $weak"
[ $differs = 0 ] || fail "what was built is not what is committed (make guest-update writes it)"
