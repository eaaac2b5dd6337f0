# nvcc without a CUDA installation: NVIDIA's wheels, laid out as a toolkit. Sourced by prover.sh.
#
# A GPU and its driver are not needed: the kernels are compiled for the architectures below, and the
# driver's library is stood in for by an empty one of the same symbols, which only the linker sees.

CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES:-"80 86 89 90"}
TOOLKIT=$PLATFORMLESS_CACHE/cuda

cuda_toolkit() {
    local wanted nvidia
    wanted=$(sha256sum <"$ROOT/tools/cuda.lock")
    [ "$(cat "$TOOLKIT/installed.sha256" 2>/dev/null)" = "$wanted" ] && return
    say "fetching nvcc (NVIDIA's wheels)"
    rm -rf "$TOOLKIT"
    mkdir -p "$TOOLKIT"
    "$PLATFORMLESS_CACHE/tools/bin/uv" pip install -q --target "$TOOLKIT/wheels" --require-hashes \
        -r "$ROOT/tools/cuda.lock"
    nvidia=$TOOLKIT/wheels/nvidia/cu13
    ln -s "$nvidia/bin" "$nvidia/include" "$nvidia/nvvm" "$TOOLKIT/"
    ln -s "$nvidia/lib" "$TOOLKIT/lib64"
    mkdir "$TOOLKIT/stubs"
    grep -ohE '\bcu[A-Z][A-Za-z0-9]*(_v[0-9]+)?(_ptsz|_ptds)?\b *\(' "$nvidia/include/cuda.h" | tr -d ' (' | sort -u |
        sed 's/.*/void &(void) {}/' >"$TOOLKIT/stubs/cuda.c"
    # Names that cuda.h maps to newer versions of a function.
    grep -oE '^#define +cu[A-Z][A-Za-z0-9]* +cu[A-Za-z0-9]*_v[0-9]+' "$nvidia/include/cuda.h" | awk '{ print "void " $3 "(void) {}" }' |
        sort -u | grep -vxFf "$TOOLKIT/stubs/cuda.c" >>"$TOOLKIT/stubs/cuda.c" || true
    "${CC:-cc}" -w -shared -fPIC -fno-builtin -Wl,-soname,libcuda.so.1 -o "$TOOLKIT/stubs/libcuda.so" "$TOOLKIT/stubs/cuda.c"
    printf '%s' "$wanted" >"$TOOLKIT/installed.sha256"
}

# RISC Zero's Groth16 crate, which its CUDA feature brings in, generates code with protoc.
need protoc protobuf-compiler
cuda_toolkit
export CUDA_PATH=$TOOLKIT PATH=$TOOLKIT/bin:$PATH NVCC=$ROOT/tools/nvcc.sh
export NVCC_PREPEND_FLAGS="-L$TOOLKIT/lib64"
export NVCC_UNUSED_FLAGS="$NVCC_PREPEND_FLAGS -gencode arch=compute_80,code=sm_80"
for architecture in $CUDA_ARCHITECTURES; do
    NVCC_PREPEND_FLAGS+=" -gencode arch=compute_$architecture,code=sm_$architecture"
done
export RUSTFLAGS="${RUSTFLAGS:-} -L native=$TOOLKIT/lib64 -L native=$TOOLKIT/stubs"
