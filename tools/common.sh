# Settings that every tool shares. Sourced, not run.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What is built or fetched lives outside the checkout, so that the next clone finds it.
export PLATFORMLESS_CACHE=${PLATFORMLESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/platformless}
export UV_CACHE_DIR=${UV_CACHE_DIR:-$PLATFORMLESS_CACHE/uv}
mkdir -p "$PLATFORMLESS_CACHE"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 3
}

# need COMMAND DEBIAN-PACKAGE: installs the package when the command is missing and that is allowed.
need() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $2"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
        command -v "$1" >/dev/null && return
    fi
    fail "$1 is missing: install the Debian package $2 (apt-get install $2)"
}

# need_header HEADER DEBIAN-PACKAGE: the same for what a C compiler includes.
need_header() {
    echo "#include <$1>" | gcc -E - >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $2"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
        echo "#include <$1>" | gcc -E - >/dev/null 2>&1 && return
    fi
    fail "$1 is missing: install the Debian package $2 (apt-get install $2)"
}

# Compiler of the prover's C++: clang 19 takes minutes where Debian's gcc takes half an hour.
need_compiler() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.95 or newer"
    if [ -z "${CC:-}" ]; then
        need clang++-19 clang-19
        export CC=clang-19 CXX=clang++-19
    fi
}

# npm_packages FOLDER WHAT: installs a folder's package-lock.json; quick when it did not change.
npm_packages() {
    local lock=$1/package-lock.json stamp=$1/node_modules/.installed-lock
    cmp -s "$lock" "$stamp" && return
    need node nodejs
    need npm npm
    say "fetching $2"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || fail "npm ci failed"
    cp "$lock" "$stamp"
}
