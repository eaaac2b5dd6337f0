"""The audit of a whole session: chain, storage, proofs, and what a client and a model add.

`audit_session` is the whole of it; it returns an `AuditReport` and never a bare yes. `AuditPolicy`
is what the auditor insists on; `findings` is what can be found, with its meaning.
"""

from .audit import audit_session
from .inputs import AuditInputs
from .report import AuditReport
from .session_policy import AuditPolicy

__all__ = ["AuditInputs", "AuditPolicy", "AuditReport", "audit_session"]
