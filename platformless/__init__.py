"""The host's node and the proof pipeline of the Platformless AI marketplace.

Packages, and what each may import (checked by import-linter):

* `protocol`: pure values and bytes; imports nothing of ours.
* `chain`: the contracts, the transaction sender, the dev chain; imports `protocol`.
* `storage`: S5 and what is published there; imports `protocol`.
* `engine`: llama.cpp, replays, traces; imports `protocol`.
* `audit`: verification of bundles, audits of sessions; imports all of these.
* `prover`: builds proofs by driving the Rust program `stark-prover`; imports all of these.
* `client`: the Python SDK; imports `protocol` and `chain`.
* `node`: the host's node; imports all of these.
"""

__version__ = "0.1.0"
