"""The processes that work on jobs: one kind builds proofs and needs no key of the host's, the other
publishes, submits and settles, and is the only one that sends the host's transactions."""
