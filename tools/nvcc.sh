#!/bin/sh
# nvcc for the prover's build. Kernels that are linked and never called are compiled for one
# architecture and without optimisation: some take five minutes an architecture otherwise.
case $PWD in
*risc0-circuit-keccak-sys-*) unused=1 ;;
*risc0-circuit-recursion-sys-*) unused=${PROVER_WITHOUT_RECURSION:-0} ;;
esac
if [ "${unused:-0}" = 1 ]; then
    export NVCC_PREPEND_FLAGS="$NVCC_UNUSED_FLAGS"
    export NVCC_APPEND_FLAGS="-Xcicc -O0 -Xptxas -O0"
fi
exec "$CUDA_PATH/bin/nvcc" "$@"
