#!/bin/bash
# Lays the toolkit of NVIDIA's image out as tools/cuda.sh lays out the one that it fetches, and marks
# it as installed: so the prover is compiled by CUDA 12.2, whose programs every driver since then runs.
# The one that would be fetched is CUDA 13, which needs a driver of release 580.
set -euo pipefail

image=/usr/local/cuda
toolkit=$PLATFORMLESS_CACHE/cuda
mkdir -p "$toolkit/stubs"
for part in bin include nvvm lib64; do
    ln -sfn "$image/$part" "$toolkit/$part"
done
ln -sf "$image/lib64/stubs/libcuda.so" "$toolkit/stubs/libcuda.so"
printf '%s' "$(sha256sum <tools/cuda.lock)" >"$toolkit/installed.sha256"
