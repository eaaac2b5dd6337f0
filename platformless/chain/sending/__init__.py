"""Sending transactions: each outbox key is mined at most once, and none is lost."""
