// Stands for RISC Zero's Keccak kernels in our CUDA build: no guest here calls that circuit, and its
// kernels would take about an hour to compile. Whoever calls it gets an error, as the real functions give one.

#include <cstring>

static const char *absent() { return strdup("the Keccak circuit is not part of this build"); }

extern "C" {
const char *risc0_circuit_keccak_cuda_scatter() { return absent(); }
const char *risc0_circuit_keccak_cuda_witgen() { return absent(); }
const char *risc0_circuit_keccak_cuda_eval_check() { return absent(); }
const char *risc0_circuit_keccak_cuda_reset() { return absent(); }
}
