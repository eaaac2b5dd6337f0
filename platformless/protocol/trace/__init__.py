"""The trace of a model's computation: which rows it commits to, its root, and what is asked of it.

Start at `nodes` (what is computed), then `layout` and `tree` (leaves and root), `challenge` (which
cells are opened) and `settings` (how llama.cpp was run). Layouts: docs/trace.md. Making a trace
is `platformless.engine.trace`.
"""
