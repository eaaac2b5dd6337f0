"""The demo: a whole marketplace on one machine, and one paid session from its first token to the
client's own check of what was paid."""
