#!/bin/bash
# Compiles llama.cpp's Python package as requirements.lock names it: llama-wheel.sh cpu|cuda FOLDER
#
# PORTABLE=0: for the processor that builds, as tools/environment.sh does; else for any with AVX2.
# CUDA_ARCHITECTURES: compute capabilities without a dot, "80 86 89 90".
set -euo pipefail

device=$1
wheels=$2
requirement=$(mktemp)
trap 'rm -f "$requirement"' EXIT
awk '/^[A-Za-z0-9]/ { wanted = /^llama-cpp-python==/ } wanted' requirements.lock >"$requirement"

options=()
[ "${PORTABLE:-1}" = 0 ] || options+=(-DGGML_NATIVE=OFF)
if [ "$device" = cuda ]; then
    export PATH=/usr/local/cuda/bin:$PATH
    options+=(-DGGML_CUDA=on "-DCMAKE_CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES// /;}")
    # The linker must resolve the driver's library, which only a machine with a GPU has.
    options+=("-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath-link,/usr/local/cuda/lib64/stubs")
    export LIBRARY_PATH=/usr/local/cuda/lib64/stubs
fi
# Semicolons of a list are CMake's; the build front end splits its arguments at spaces alone.
CMAKE_ARGS="${options[*]}" /opt/uv/bin/pip wheel -q --no-cache-dir --no-deps --require-hashes \
    --requirement "$requirement" --wheel-dir "$wheels"
