#!/bin/sh
# The C++ compiler of the prover's build: clang, but for two crates whose code is linked and never called.
case $PWD in
*risc0-circuit-keccak-sys-*) unused=1 ;;
*risc0-circuit-recursion-sys-*) unused=${PROVER_WITHOUT_RECURSION:-0} ;;
esac
if [ "${unused:-0}" = 1 ]; then
    # Never called: spend no time on it. Its copies of shared inline functions must not be taken for
    # the optimised ones, so they get a namespace of their own.
    exec "$PROVER_CXX" "$@" -O0 -Drisc0=risc0_unused
fi
exec "$PROVER_CXX" "$@"
