"""What the process says once others can reach it; apart, so that a supervisor loads no more."""

READY = "p2p ready"
"""How the line begins."""
