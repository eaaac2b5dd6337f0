"""Paid sessions: who may use them, what was streamed in them, and where checkpoints are cut."""
