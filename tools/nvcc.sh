#!/bin/sh
# nvcc for the prover's CUDA build: leaves out, or does not optimise, kernels that are never called.
here=$(dirname "$0")
case $PWD in
*risc0-circuit-keccak-sys-*)
    for argument; do
        shift
        case $argument in
        */ffi.cu) argument=$here/keccak_absent.cu ;;
        kernels/*.cu) argument=kernels/cuda/empty.cu ;;
        esac
        set -- "$@" "$argument"
    done
    ;;
*risc0-circuit-recursion-sys-*)
    if [ "${PROVER_WITHOUT_RECURSION:-0}" = 1 ]; then
        export NVCC_PREPEND_FLAGS="$NVCC_UNUSED_FLAGS" NVCC_APPEND_FLAGS="-Xcicc -O0 -Xptxas -O0"
    fi
    ;;
esac
exec "$CUDA_PATH/bin/nvcc" "$@"
