"""Verification of proofs: Python and a WebAssembly module, nothing to compile.

`verify.verify_bundle` is the whole check; `policy` holds what an auditor may insist on; `sandbox`
runs the receipt verifier; `release` is what this release trusts.
"""
