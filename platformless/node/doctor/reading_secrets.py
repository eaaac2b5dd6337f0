"""Secrets that are handed over as files: taken as a node takes them, each mistake as a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..secret_files import CREDENTIALS, SECRETS, SecretFileUnusable, take_secrets
from .finding import Finding, error

_SUFFIX = "_FILE"


@dataclass(frozen=True, slots=True)
class SecretsFound:
    """An environment with the secrets that could be read in it."""

    environment: dict[str, str]
    left_out: frozenset[str]
    """Variables whose files cannot be used."""
    findings: tuple[Finding, ...]


def read_secrets(environment: Mapping[str, str]) -> SecretsFound:
    """Reads the files that variables and systemd name."""
    given = dict(environment)
    left_out: set[str] = set()
    findings: list[Finding] = []
    while True:
        problem = _take(given)
        if problem is None:
            return SecretsFound(given, frozenset(left_out), tuple(findings))
        culprit = _culprit(given, problem)
        findings.append(error("settings", str(problem), problem.advice or f"correct {culprit}"))
        given.pop(culprit)
        left_out |= set(SECRETS) if culprit == CREDENTIALS else {culprit.removesuffix(_SUFFIX)}


def _take(environment: dict[str, str]) -> SecretFileUnusable | None:
    try:
        take_secrets(environment)
    except SecretFileUnusable as problem:
        return problem
    return None


def _culprit(environment: Mapping[str, str], problem: SecretFileUnusable) -> str:
    """The variable that, left out, does away with the problem."""
    for name in (*(secret + _SUFFIX for secret in SECRETS), CREDENTIALS):
        others = {key: value for key, value in environment.items() if key != name}
        if name in environment and str(_take(others)) != str(problem):
            return name
    raise problem
