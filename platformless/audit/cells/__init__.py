"""The native check of opened cells of a trace, by somebody who has the model.

`checking.check_cell` recomputes one cell of any kind with the reference arithmetic and raises what
is wrong with it; `opened` takes rows out of verified openings, `weights` rows out of a model file.
What the check of random cells shows, and what slips through: docs/cells.md.
"""
