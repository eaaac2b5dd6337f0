"""The claim `sample`: which cells of a trace were opened and recomputed, and what that shows.

`facts` says of the model what the root of its weights does not, `plan` how many cells of which
kinds are drawn, `claim` what a proof says in public, `witness` what the guest is given, `detection`
what the number of cells is worth. Layouts: docs/formats.md, "Sample claim".
"""
