"""What an attack is, and the list of them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from platformless.audit.session.inputs import AuditInputs

from .scene import Scene

Play = Callable[[Scene], Awaitable[AuditInputs | None]]
"""Does it, and says what the auditor has; None for nothing but chain and storage."""


@dataclass(frozen=True)
class Attack:
    """One dishonest way, and the code with which the audit tells it."""

    name: str
    who: str
    """host, storage, node (RPC) or stranger."""
    code: str
    play: Play
    ends: str
    """rejected: the report has a finding with the code, of severity error; refused: the audit ends
    with an error of this code and makes no report."""
    group: str


ATTACKS: list[Attack] = []


def attack(
    name: str, code: str, *, who: str = "host", ends: str = "rejected"
) -> Callable[[Play], Play]:
    """Puts a function on the list."""

    def put(play: Play) -> Play:
        group = play.__module__.rpartition(".")[2].removeprefix("by_")
        ATTACKS.append(Attack(name, who, code, play, ends, group))
        return play

    return put
