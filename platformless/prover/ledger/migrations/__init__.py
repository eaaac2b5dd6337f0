"""The tables of a ledger as they came to be: one script a step, in versions/.

Scripts are named and numbered `0001_what.py`, revision `"0001"`; the highest is what this code
works with. upgrading.py runs them, within the transaction that it is given; env.py is what
alembic asks for.
"""
