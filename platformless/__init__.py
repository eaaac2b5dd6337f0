"""The host's node and the proof pipeline of the Platformless AI marketplace.

Rooms, and what each may import (checked by import-linter):

* `protocol`: pure values and bytes; imports nothing of ours.
* `audit`: verification of bundles; imports `protocol`.
* `prover`: builds proofs by driving the Rust program `stark-prover`; imports both.
"""

__version__ = "0.1.0"
