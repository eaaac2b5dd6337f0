"""`fabstir-llm-node doctor`: whether a node can run here, and what to do where it cannot.

Every check only looks. Each is a function from a `Subject` to findings, one file a group; what
they share (RPC answers, the host's registration) is asked for once (`shared.py`).
"""
