"""The host's node: the command `fabstir-llm-node`."""
