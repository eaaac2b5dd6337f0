"""The commands on whole sessions: `audit`, `aggregate`, `watch`, `recover`."""
