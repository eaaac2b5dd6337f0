"""Making the trace of a transcript: `capture` runs it, `tracing` gives its root and its openings.

`supported` says which models and settings; `tensor` reads llama.cpp's memory. What a trace is:
`platformless.protocol.trace`.
"""
