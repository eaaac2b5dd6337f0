"""The audit of a whole session: chain, storage, proofs, and what a client and a model add.

`audit.audit_session` is the whole of it; it returns a `report.AuditReport` and never a bare yes.
`policy` is what the auditor insists on; `findings` is what can be found, with its meaning.
"""
