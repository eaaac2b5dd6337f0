#!/usr/bin/env bash
# Builds and tests the marketplace contracts.
#   contracts.sh setup    fetches forge, anvil, solc and OpenZeppelin; quick when nothing changed
#   contracts.sh check    fails when a committed artifact is not what the source builds
#   contracts.sh update   writes the artifacts
#   contracts.sh test     runs the Solidity tests
. "$(dirname "$0")/common.sh"

mode=${1:-check}
CONTRACTS=$ROOT/contracts
ARTIFACTS=$ROOT/platformless/chain/abi
PLATFORM=linux-amd64

[ "$(uname -sm)" = "Linux x86_64" ] || fail "forge and anvil are pinned for Linux on x86_64, this is $(uname -sm)"

setup() {
    npm_packages "$CONTRACTS" "forge, anvil, solc and OpenZeppelin"
    install_anvil
}

install_anvil() {
    local built=$CONTRACTS/node_modules/@foundry-rs/anvil-$PLATFORM/bin/anvil target=$PLATFORMLESS_CACHE/bin/anvil
    cmp -s "$built" "$target" && return
    mkdir -p "$PLATFORMLESS_CACHE/bin"
    install -m 755 "$built" "$target.$$"
    mv "$target.$$" "$target"
}

forge() { (cd "$CONTRACTS" && "node_modules/@foundry-rs/forge-$PLATFORM/bin/forge" "$@"); }

# The tests are left out, and the output of `forge test` left alone: what is compiled together may show in the bytes.
artifacts() {
    local work=$CONTRACTS/cache/artifacts
    say "building the contracts"
    rm -rf "$work"
    FOUNDRY_OUT=$work/out FOUNDRY_CACHE_PATH=$work/cache forge build --quiet --force --skip test
    node "$CONTRACTS/artifacts.mjs" "$1" "$work/out" "$ARTIFACTS"
}

case $mode in
setup) setup ;;
check)
    setup
    forge fmt --check || fail "Solidity is not formatted (forge fmt writes it)"
    artifacts check || fail "what was built is not what is committed (tools/contracts.sh update writes it)"
    ;;
update)
    setup
    artifacts update || fail "the contracts do not keep to the deployed ABI or to the size limit"
    ;;
test)
    setup
    forge test
    ;;
*) fail "unknown command $mode: setup, check, update or test" ;;
esac
