"""Who the host is and what it serves, by the registries of today.

Registrations may change after a session: what does not fit is a warning, not a reason to reject.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...chain.host_metadata import named_key, owner
from .errors import AuditProblem, HostKeyForeign, HostUnregistered, ModelUnregistered
from .facts import SessionFacts


def check_identity(facts: SessionFacts) -> Iterator[AuditProblem]:
    """What the registries tell otherwise than the session."""
    host, session = facts.host, facts.session
    if host is None:
        yield HostUnregistered("the host is not registered (any more)", got=session.host)
    else:
        key = named_key(host.metadata)
        account = owner(key) if key is not None else None
        if key is not None and account != session.host:
            yield HostKeyForeign(
                "the key in the host's metadata is another account's",
                expected=session.host,
                got=account or key,
            )
        if facts.model_id not in host.models:
            yield ModelUnregistered(
                "the host does not list this model (any more)",
                expected=facts.model_id,
                got=f"{len(host.models)} others",
            )
    if facts.model is None:
        yield ModelUnregistered("the registry does not know the model", got=facts.model_id)
