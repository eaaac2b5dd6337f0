"""The ledger: what happened in sessions, kept so that a crash loses none of what is billed."""
