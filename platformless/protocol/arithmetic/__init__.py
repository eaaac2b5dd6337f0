"""The reference arithmetic: every cell of a trace recomputed from what was opened for it.

`operations` names how cells are recomputed, with which tolerance, and the two references (builds
of llama.cpp with and without AVX-512). `products` are the weight products, `attention` those of
the cache and the softmax, `glue` what lies between them, `rope` the one operation that has a bound.
`rounding` holds the fused multiply-add and the order of sums that all of them share; `scalar` the
same on integers, one number at a time, as a guest without floating point does it.

Pure: numpy's elementwise IEEE 754 operations and integers, no library function of the platform.
docs/arithmetic.md specifies every formula to the bit.
"""
