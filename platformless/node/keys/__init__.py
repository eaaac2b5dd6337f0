"""The host's key: where it comes from, a signer that keeps it, and the commands about it."""
