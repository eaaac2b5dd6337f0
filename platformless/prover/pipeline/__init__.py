"""From a checkpoint to a confirmed proof, and from a session's end to money.

Each step takes a job's lease from the ledger, does its work, and writes what came of it under the
lease's fence; it may be killed at any line and done again. `worker` runs the steps where the
broker's messages arrive; `reconciling` rings for what nobody was told of.
"""
