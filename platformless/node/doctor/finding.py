"""What a check found out."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # the node runs; something is missing or soon will be
    ERROR = "error"  # the node does not run, is not found, or earns nothing
    SKIPPED = "skipped"  # not looked at: not asked for, or something else must be right first


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """Of the check; several findings may have one."""
    level: Level
    says: str
    advice: str = ""
    """What the operator can do."""


def ok(name: str, says: str) -> Finding:
    return Finding(name, Level.OK, says)


def warning(name: str, says: str, advice: str) -> Finding:
    return Finding(name, Level.WARNING, says, advice)


def error(name: str, says: str, advice: str) -> Finding:
    return Finding(name, Level.ERROR, says, advice)


def skipped(name: str, why: str) -> Finding:
    return Finding(name, Level.SKIPPED, why)
